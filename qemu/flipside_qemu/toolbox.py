"""Programs of any Debian suite that run on any Linux: QEMU, GRUB, mke2fs and the rest.

They are extracted, not installed: nothing on the host changes, and every host builds the same
image with the same tools. Each program is started through the tree's own dynamic loader.
The tools are trixie's: QEMU older than 9 corrupts x86 guests under emulation, and Debian 12
has 7.2.
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
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")
"""Where they are, since trixie and before: bookworm's packages still bring files for ``/lib``."""
LOADER = "ld-linux-x86-64.so.2"
PROGRAMS = ("usr/bin", "usr/sbin")

_WANTED = ("usr/", "lib/x86_64-linux-gnu/")
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
        libraries = [self.root / directory for directory in LIBRARIES]
        return [
            str(_first(LOADER, libraries)),
            "--library-path",
            ":".join(str(directory) for directory in libraries if directory.exists()),
            str(_first(program, [self.root / directory for directory in PROGRAMS])),
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


def build(cache: Cache) -> Toolbox:
    """The toolbox of the builders, from the cache or freshly fetched."""
    return fetch(cache, "toolbox", SUITE, PACKAGES)


def fetch(cache: Cache, kind: str, suite: str, packages: Sequence[str]) -> Toolbox:
    """Packages of any suite and what they need, from the cache or freshly fetched.

    The kind names them in the cache, where two of it are kept.
    """
    key = key_of(VERSION, suite, *packages)
    place = cache.entry(kind, key, 2, lambda place: _extract(place, suite, packages, cache.say))
    return Toolbox(place)


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


def _first(name: str, directories: Sequence[Path]) -> Path:
    for directory in directories:
        if (directory / name).exists():
            return directory / name
    looked = " or ".join(str(directory) for directory in directories)
    raise HostError(f"{name} is not in {looked}, expected one of the fetched packages to bring it")


def _extract(place: Path, suite: str, packages: Sequence[str], say: Say) -> None:
    archive = place / "packages.tar"
    debian.bootstrap(
        archive, suite, packages, options=["--mode=chrootless", "--variant=extract"], say=say
    )
    say("unpacking them")
    tree.extract(archive, place, _is_wanted)
    archive.unlink()


def _is_wanted(name: str) -> bool:
    return name.startswith(_WANTED) and not name.startswith(_TEXTS)
