"""Programs of Debian trixie that run on any Linux: QEMU, GRUB, mke2fs and the rest.

They are extracted, not installed: nothing on the host changes, and every host builds the same
image with the same tools. Each program is started through the tree's own dynamic loader.
QEMU older than 9 corrupts x86 guests under emulation, and Debian 12 has 7.2.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flipside_qemu import debian, tree
from flipside_qemu.cache import Cache, Say, key_of
from flipside_qemu.errors import HostError

SUITE = "trixie"
VERSION = "1"
"""Part of the cache's key; a change of how the tree is made counts it up."""
PACKAGES = (
    "busybox-static",
    "cryptsetup-bin",
    "dosfstools",
    "e2fsprogs",
    "fdisk",
    "grub-common",
    "grub-efi-amd64-bin",
    "ipxe-qemu",
    "libarchive13t64",
    "mtools",
    "ovmf",
    "qemu-system-x86",
    "qemu-utils",
    "seabios",
    "squashfs-tools",
)
LOADER = "usr/lib64/ld-linux-x86-64.so.2"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
PROGRAMS = ("usr/bin", "usr/sbin")

_TEXTS = ("usr/share/doc/", "usr/share/man/", "usr/share/locale/")


@dataclass(frozen=True, slots=True)
class Toolbox:
    """An extracted tree of Debian packages."""

    root: Path
    """The directory that plays the root of a file system."""

    def path(self, inside: str) -> Path:
        """A file of the tree, such as ``usr/share/OVMF/OVMF_CODE_4M.fd``."""
        path = self.root / inside
        if not path.exists():
            raise HostError(f"{path} is missing, expected it in the toolbox; delete {self.root}")
        return path

    def argv(self, program: str, *arguments: str | Path) -> list[str]:
        """The command that runs a program of the tree."""
        return [
            str(self.root / LOADER),
            "--library-path",
            str(self.root / LIBRARIES),
            str(self._program(program)),
            *(str(argument) for argument in arguments),
        ]

    def run(
        self,
        program: str,
        *arguments: str | Path,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
    ) -> bytes:
        """Run a program to its end and return what it printed; raises HostError if it fails."""
        return run(self.argv(program, *arguments), stdin=stdin, environment=environment)

    def _program(self, name: str) -> Path:
        for directory in PROGRAMS:
            path = self.root / directory / name
            if path.exists():
                return path
        raise HostError(f"{name} is not in {self.root}, expected one of the toolbox's programs")


def build(cache: Cache) -> Toolbox:
    """The toolbox, from the cache or freshly fetched."""
    key = key_of(VERSION, SUITE, *PACKAGES)
    return Toolbox(cache.entry("toolbox", key, 2, lambda place: _extract(place, cache.say)))


def run(
    command: Sequence[str], *, stdin: bytes = b"", environment: Mapping[str, str] | None = None
) -> bytes:
    """Run one command to its end and return what it printed; raises HostError if it fails."""
    done = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        check=False,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(tree.EPOCH), **(environment or {})},
    )
    if done.returncode != 0:
        text = done.stderr.decode(errors="replace").strip() or "nothing"
        raise HostError(
            f"{' '.join(command)} ended with code {done.returncode}, expected 0; it said: {text}"
        )
    return done.stdout


def _extract(place: Path, say: Say) -> None:
    archive = place / "packages.tar"
    debian.bootstrap(
        archive, SUITE, PACKAGES, options=["--mode=chrootless", "--variant=extract"], say=say
    )
    say("unpacking the toolbox")
    tree.extract(archive, place, _is_wanted)
    archive.unlink()


def _is_wanted(name: str) -> bool:
    return name.startswith("usr/") and not name.startswith(_TEXTS)
