"""File trees in tar archives: taking some of one out, and laying one over another."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

EPOCH = 1735689600
"""2025-01-01: the one time stamp of everything that is built."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that an image gets beside those of Debian."""

    content: bytes
    mode: int = 0o644
    owner: int = 0
    """User and group, which have the same number."""


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link that an image gets."""

    target: str


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory that an image gets; those that a file needs are made anyway, for root."""

    mode: int = 0o755
    owner: int = 0


Layer = Mapping[str, File | Link | Directory]
"""Files by their path without a leading slash."""


def extract(archive: Path, place: Path, wanted: Callable[[str], bool]) -> None:
    """Take the files with wanted names out of an archive.

    Devices stay inside, and links to absolute paths, which would lead to the host's own files.
    """
    with tarfile.open(archive) as tar:
        for member in tar:
            leads_out = member.issym() and member.linkname.startswith("/")
            if wanted(name_of(member)) and not member.isdev() and not leads_out:
                _take(tar, member, place)


def pack(layer: Layer, target: Path) -> None:
    """Write an archive of these files."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as out:
        _write(out, {}, layer, None)


def overlay(archive: Path, layer: Layer, target: Path) -> None:
    """Write an archive of an older one with these files laid over it.

    A file replaces whatever had its name. Members are sorted: equal input is equal output.
    """
    with (
        tarfile.open(archive) as base,
        tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as out,
    ):
        kept = {name_of(member): member for member in base if name_of(member) not in layer}
        _write(out, kept, layer, base)


def read(directory: Path) -> dict[str, File | Link | Directory]:
    """Files and empty directories below one; who may execute a file here may execute it there."""
    found: dict[str, File | Link | Directory] = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_symlink():
            found[name] = Link(str(path.readlink()))
        elif path.is_file():
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            found[name] = File(path.read_bytes(), mode)
        elif not any(path.iterdir()):
            found[name] = Directory()
    return found


def key_parts(layer: Layer) -> Iterator[bytes]:
    """What tells this layer from another one, for a cache's key."""
    for name, entry in sorted(layer.items()):
        yield name.encode()
        yield repr(entry).encode()


def _take(tar: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> None:
    """Extract one member as the user who runs this.

    By hand: tarfile's filters are missing in Debian 12's Python, and without one it warns.
    """
    path = place / name_of(member)
    path.parent.mkdir(parents=True, exist_ok=True)
    if member.isdir():
        path.mkdir(exist_ok=True)
    elif member.issym():
        path.symlink_to(member.linkname)
    elif member.islnk():
        path.hardlink_to(place / member.linkname)
    elif source := tar.extractfile(member):
        with path.open("wb") as target:
            shutil.copyfileobj(source, target)
        path.chmod(0o755 if member.mode & 0o111 else 0o644)


def _write(
    out: tarfile.TarFile,
    kept: Mapping[str, tarfile.TarInfo],
    layer: Layer,
    base: tarfile.TarFile | None,
) -> None:
    names = {*kept, *layer, *_parents(layer)} - {""}
    # A hard link must come after what it links to.
    for name in sorted(names, key=lambda name: (name in kept and kept[name].islnk(), name)):
        if name in kept:
            assert base is not None
            _copy(base, kept[name], out)
        else:
            _add(out, name, layer.get(name, Directory()))


def name_of(member: tarfile.TarInfo) -> str:
    """Path of a member without a leading slash."""
    return member.name.removeprefix("./").strip("/").removeprefix(".")


def _parents(names: Mapping[str, object]) -> set[str]:
    parts = (name.split("/") for name in names)
    return {"/".join(words[:count]) for words in parts for count in range(1, len(words))}


def _copy(base: tarfile.TarFile, member: tarfile.TarInfo, out: tarfile.TarFile) -> None:
    content = base.extractfile(member) if member.isreg() else None
    member.name = name_of(member)
    if member.islnk():
        member.linkname = member.linkname.removeprefix("./")
    out.addfile(member, content)


def _add(out: tarfile.TarFile, name: str, entry: File | Link | Directory) -> None:
    member = tarfile.TarInfo(name)
    member.mtime = EPOCH
    content = None
    match entry:
        case File():
            member.mode, member.uid, member.gid = entry.mode, entry.owner, entry.owner
            member.size = len(entry.content)
            content = io.BytesIO(entry.content)
        case Directory():
            member.type = tarfile.DIRTYPE
            member.mode, member.uid, member.gid = entry.mode, entry.owner, entry.owner
        case Link():
            member.type, member.mode = tarfile.SYMTYPE, 0o777
            member.linkname = entry.target
    out.addfile(member, content)
