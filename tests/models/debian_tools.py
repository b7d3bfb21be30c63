"""Tools that everybody has, out of Debian's packages, laid into images of a device."""

from __future__ import annotations

from pathlib import Path

from flipside_qemu import debian, toolbox, tree
from flipside_qemu.cache import Cache, key_of
from flipside_qemu.tree import Layer

_ARM64, _AMD64 = "usr/lib/aarch64-linux-gnu/", "usr/lib/x86_64-linux-gnu/"


def libubootenv(cache: Cache) -> Layer:
    """``fw_printenv`` and ``fw_setenv`` of libubootenv, with their libraries, for arm64."""
    wanted = ("usr/bin/fw_", f"{_ARM64}libubootenv", f"{_ARM64}libyaml")
    return _layer(cache, "libubootenv-tool", "arm64", wanted)


def efibootmgr(cache: Cache) -> Layer:
    """``efibootmgr``, with its libraries, for amd64."""
    wanted = ("usr/bin/efibootmgr", f"{_AMD64}libefi", f"{_AMD64}libpopt")
    return _layer(cache, "efibootmgr", "amd64", wanted)


def _layer(cache: Cache, package: str, architecture: str, wanted: tuple[str, ...]) -> Layer:
    def make(place: Path) -> None:
        archive = place / "packages.tar"
        debian.bootstrap(
            archive,
            toolbox.SUITE,
            [package],
            options=["--variant=extract", *debian.NO_DOCUMENTATION],
            say=cache.say,
            architecture=architecture,
        )
        tree.extract(archive, place / "tree", lambda name: name.startswith(wanted))
        archive.unlink()

    return tree.read(cache.entry(package, key_of(toolbox.SUITE, *wanted), 1, make) / "tree")
