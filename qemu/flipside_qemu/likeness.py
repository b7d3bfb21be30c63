"""A root file system for another processor, in the likeness of this machine's: nothing of it runs.

Debian's packages hold the same files for every processor, but for machine code; and what their
scripts make of them is the same everywhere. So a finished root file system of this machine's
processor is the pattern: it says which files there are, whose they are, and what is in those that
no package brings. All others come from the packages of the other processor, only unpacked.
Running their scripts on an emulated processor takes half an hour.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flipside_qemu import debian, kernel_modules, tree
from flipside_qemu.board import Board
from flipside_qemu.cache import Cache
from flipside_qemu.errors import HostError

VERSION = "2"
"""Part of the cache's key; a change of how the tree is made counts it up."""
REQUIRED = ("apt", "login", "passwd")
"""What mmdebstrap's "minbase" has beside the essential packages."""
SUBSTITUTES = {"busybox": "busybox-static"}
"""The initramfs has no libraries, and the builder's own busybox is for another processor."""

_NAMES = {
    "usr/lib64/ld-linux-x86-64.so.2": "usr/lib/ld-linux-aarch64.so.1",
    "ld-linux-x86-64.so.2": "ld-linux-aarch64.so.1",
    "x86_64-linux-gnu": "aarch64-linux-gnu",
}
"""What is called otherwise there."""
_ITS_OWN = (
    # Names files of the pattern's processor; the loader also finds them without it.
    "etc/ld.so.cache",
    "lib64",
    "usr/lib64",
    "usr/lib/x86_64-linux-gnu/engines-3/padlock.so",
)
"""What only the pattern has."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How such a root file system is made."""

    cache: Cache
    suite: str
    board: Board
    pattern: Path
    """Archive of a finished root file system of the same suite."""
    packages: tuple[str, ...]
    """What the pattern was made of, with this board's kernel."""

    def ingredients(self) -> Iterator[str]:
        """What goes into it beside the pattern, for the cache's key."""
        yield from (VERSION, self.suite, self.board.architecture)
        yield from (*self._wanted(), *self.board.modules())

    def write(self, target: Path) -> None:
        """Fetch the packages and write the archive."""
        with tempfile.TemporaryDirectory(dir=target.parent) as name:
            packages, joined = Path(name) / "packages.tar", Path(name) / "joined.tar"
            debian.bootstrap(
                packages,
                self.suite,
                self._wanted(),
                options=["--variant=extract", "--include=?essential", *debian.NO_DOCUMENTATION],
                say=self.cache.say,
                architecture=self.board.architecture,
            )
            join(self.pattern, packages, joined)
            tools = self.board.hardware.toolbox(self.cache)
            tree.overlay(joined, kernel_modules.kept(tools, packages, self.board.modules()), target)

    def _wanted(self) -> list[str]:
        return [*REQUIRED, *(SUBSTITUTES.get(name, name) for name in self.packages)]


def translated(name: str) -> str:
    """What a file of the pattern is called there."""
    for old, new in _NAMES.items():
        name = name.replace(old, new)
    return name


def join(pattern: Path, packages: Path, target: Path) -> None:
    """Write an archive of the files that the pattern has, as the packages bring them."""
    with (
        tarfile.open(pattern) as ours,
        tarfile.open(packages) as theirs,
        tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as out,
    ):
        brought = {tree.name_of(member): member for member in theirs}
        for member in ours:
            name = tree.name_of(member)
            if _is_wanted(name):
                other = brought.get(translated(name))
                _add(out, _Source(ours, member), _Source(theirs, other) if other else None)


def _is_wanted(name: str) -> bool:
    """Not the kernel, which is another one, and no byte code of what is configured otherwise."""
    kernel = name == "boot/vmlinuz" or name.startswith("usr/lib/modules/")
    return bool(name) and not kernel and name not in _ITS_OWN and "/_sysconfigdata_" not in name


@dataclass(frozen=True, slots=True)
class _Source:
    """A file in an archive."""

    archive: tarfile.TarFile
    member: tarfile.TarInfo

    def content(self) -> bytes | None:
        """What is in it; None for what is no file."""
        file = self.archive.extractfile(self.member) if _is_file(self.member) else None
        return file.read() if file else None


def _is_file(member: tarfile.TarInfo) -> bool:
    return member.isreg() or member.islnk()


def _add(out: tarfile.TarFile, ours: _Source, theirs: _Source | None) -> None:
    """Add what the other processor's packages bring, else our own, with our owner and mode."""
    same_kind = theirs and (
        _is_file(theirs.member) == _is_file(ours.member)
        and theirs.member.issym() == ours.member.issym()
    )
    source = theirs if theirs and same_kind else ours
    name, content = translated(tree.name_of(ours.member)), source.content()
    if source is ours and content and content.startswith(b"\x7fELF"):
        raise HostError(
            f"{name} is in none of the fetched packages, expected there what the root file system"
            " of this machine's processor has: it may be older, remove it from the cache"
        )
    member = tarfile.TarInfo(name)
    member.type = tarfile.REGTYPE if content is not None else ours.member.type
    member.mode, member.uid, member.gid = ours.member.mode, ours.member.uid, ours.member.gid
    member.linkname, member.mtime = source.member.linkname, ours.member.mtime
    member.size = len(content or b"")
    out.addfile(member, io.BytesIO(content) if content is not None else None)
