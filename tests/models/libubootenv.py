"""The tools for U-Boot's environment that everybody has, laid into images of an arm64 device."""

from __future__ import annotations

from pathlib import Path

from flipside_qemu import debian, toolbox, tree
from flipside_qemu.cache import Cache, key_of
from flipside_qemu.tree import Layer

PACKAGE = "libubootenv-tool"
_WANTED = (
    "usr/bin/fw_",
    "usr/lib/aarch64-linux-gnu/libubootenv",
    "usr/lib/aarch64-linux-gnu/libyaml",
)


def layer(cache: Cache) -> Layer:
    """``fw_printenv`` and ``fw_setenv`` of libubootenv, with their libraries."""

    def make(place: Path) -> None:
        archive = place / "packages.tar"
        debian.bootstrap(
            archive,
            toolbox.SUITE,
            [PACKAGE],
            options=["--variant=extract", *debian.NO_DOCUMENTATION],
            say=cache.say,
            architecture="arm64",
        )
        tree.extract(archive, place / "tree", lambda name: name.startswith(_WANTED))
        archive.unlink()

    return tree.read(cache.entry(PACKAGE, key_of(toolbox.SUITE, *_WANTED), 1, make) / "tree")
