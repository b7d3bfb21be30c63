"""A FAT partition that remembers what was asked of it, and what a power cut could leave.

Names, lengths and first clusters stand in directories; the content stands elsewhere. A flush of a
file makes sure of its content, its length and its first cluster, a flush of a directory of all
names in it; of the rest each piece may be on the disk or not, in any combination. A name that a
rename makes is that of an empty file at first, as the write log of a device with Linux 6.12 shows:
length and first cluster follow when the file itself is written back. A cluster that is given back
is the next one to be given out, and holds what it held until something is written to it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from models.systemd_boot import Tree

RUBBISH = b"\xf6" * 4096


class Place(NamedTuple):
    """What a directory says of one name."""

    cluster: int = 0
    length: int = 0


@dataclass(frozen=True)
class Piece:
    """One thing that gets to the disk as a whole, or does not."""

    names: dict[str, Place | None] = field(default_factory=dict)
    cluster: int = 0
    offset: int = 0
    data: bytes = b""
    of_file: bool = False
    """It says where the file begins and how long it is, which the file's own flush writes."""

    def is_safe(self, name: str, cluster: int) -> bool:
        """Whether a flush of this file or directory makes sure of it."""
        if self.of_file:
            return name in self.names
        of_content = cluster and self.cluster == cluster
        return bool(of_content) or name in {str(Path(one).parent) for one in self.names}


class Died(BaseException):
    """The program is killed."""


@dataclass
class Disk:
    """What is on the disk."""

    names: dict[str, Place] = field(default_factory=dict)
    clusters: dict[int, bytes] = field(default_factory=dict)

    def put(self, piece: Piece) -> None:
        """Write one piece."""
        for name, place in piece.names.items():
            self.names.pop(name, None)
            if place is not None:
                self.names[name] = place
        if piece.cluster:
            old = self.clusters.get(piece.cluster, b"")
            old = old.ljust(piece.offset, RUBBISH[:1])
            end = piece.offset + len(piece.data)
            self.clusters[piece.cluster] = old[: piece.offset] + piece.data + old[end:]

    def tree(self) -> Tree:
        """What a boot loader reads."""
        found: Tree = {}
        for name, place in sorted(self.names.items()):
            found[name] = self.clusters.get(place.cluster, b"").ljust(place.length, RUBBISH[:1])
            found[name] = found[name][: place.length]
        return found

    def copy(self) -> Disk:
        """Another one with the same on it."""
        return Disk(dict(self.names), dict(self.clusters))


@dataclass
class Vfat:
    """A directory that stands for the partition, and the list of what was asked of it."""

    path: Path
    renames_are_torn: bool = False
    """A rename crosses a sector: both names may be there, or neither."""
    linked: tuple[str, str] | None = None
    """Two names on one cluster, as a torn rename leaves them."""
    dies_after: int | None = None
    """Number of the operation after which the program is killed."""
    asked: list[Piece | set[int]] = field(default_factory=list)
    """Pieces, and flushes: the numbers of those that are safe from then on."""
    before: Disk = field(default_factory=Disk)
    now: Disk = field(default_factory=Disk)
    free: list[int] = field(default_factory=list)
    """Clusters that were given back, the next one last."""

    def __post_init__(self) -> None:
        self._files: dict[int, str] = {}
        self._real: dict[str, Callable[..., Any]] = {}
        for name, data in contents(self.path).items():
            cluster = self._cluster() if data else 0
            self.now.put(Piece({name: Place(cluster, len(data))}, cluster, 0, data))
        if self.linked:
            first, second = self.linked
            self.now.put(Piece({second: self.now.names[first]}))
        self.before = self.now.copy()

    @contextmanager
    def recording(self) -> Iterator[Vfat]:
        """Carry out and write down what is asked meanwhile; nothing may bypass the list."""
        with pytest.MonkeyPatch.context() as patch:
            for verb in ("open", "write", "fsync", "replace", "unlink", "close"):
                self._real[verb] = getattr(os, verb)
                patch.setattr(os, verb, getattr(self, f"_{verb}"))
            yield self
        assert self.now.tree() == contents(self.path)

    def cuts(self) -> Iterator[tuple[Tree, str]]:
        """Everything that a cut may leave, at every moment, and what to call it."""
        for end in range(len(self.asked) + 1):
            yield from self.cut(end)

    def cut(self, end: int | None = None) -> Iterator[tuple[Tree, str]]:
        """Everything that a cut may leave after so many operations, or after all of them."""
        end = len(self.asked) if end is None else end
        loose = self.loose(end)
        for lost in _subsets(loose):
            disk = self.before.copy()
            for number, piece in enumerate(self.asked[:end]):
                if isinstance(piece, Piece) and number not in lost:
                    disk.put(piece)
            yield disk.tree(), f"cut {end}, without {sorted(lost)}"

    def loose(self, end: int) -> list[int]:
        """The pieces that need not be on the disk at that moment."""
        safe: set[int] = set()
        for one in self.asked[:end]:
            if isinstance(one, set):
                safe |= one
        pieces = [number for number, one in enumerate(self.asked[:end]) if isinstance(one, Piece)]
        return [number for number in pieces if number not in safe]

    def _ask(self, *pieces: Piece) -> None:
        for piece in pieces:
            self.now.put(piece)
            self.asked.append(piece)
        self._may_die()

    def _may_die(self) -> None:
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after < 0:
                raise Died

    def _cluster(self) -> int:
        return self.free.pop() if self.free else 1 + max(self.now.clusters, default=0)

    def _give_back(self, name: str) -> None:
        cluster = self.now.names[name].cluster
        # Of two names on one cluster the second to be removed makes the kernel complain.
        if cluster and cluster not in self.free:
            self.free.append(cluster)

    def _name(self, path: Any) -> str | None:
        place = Path(os.fspath(path))
        return str(place.relative_to(self.path)) if place.is_relative_to(self.path) else None

    def _open(self, path: Any, flags: int, *rest: Any, **more: Any) -> int:
        file: int = self._real["open"](path, flags, *rest, **more)
        name = self._name(path)
        if name is None:
            return file
        self._files[file] = name
        if flags & os.O_TRUNC and name in self.now.names:
            self._give_back(name)
        if flags & os.O_TRUNC or (flags & os.O_CREAT and name not in self.now.names):
            self._ask(Piece({name: Place()}))
        return file

    def _write(self, file: int, data: bytes) -> int:
        done: int = self._real["write"](file, data)
        if name := self._files.get(file):
            place = self.now.names[name]
            cluster = place.cluster or self._cluster()
            written = Place(cluster, place.length + done)
            content = Piece({}, cluster, place.length, bytes(data[:done]))
            self._ask(content, Piece({name: written}, of_file=True))
        return done

    def _fsync(self, file: int) -> None:
        name = self._files.get(file)
        if name is None:
            return
        wanted = self.now.names.get(name, Place()).cluster
        safe = set()
        for number, one in enumerate(self.asked):
            if isinstance(one, Piece) and one.is_safe(name, wanted):
                safe.add(number)
        self.asked.append(safe)
        self._may_die()

    def _replace(self, old: Any, new: Any) -> None:
        self._real["replace"](old, new)
        before, after = self._name(old), self._name(new)
        assert before is not None
        assert after is not None
        at_first = self.now.names.get(after, Place())
        if after in self.now.names:
            self._give_back(after)
        place = Piece({after: self.now.names[before]}, of_file=True)
        if self.renames_are_torn:
            self._ask(Piece({after: at_first}), Piece({before: None}), place)
        else:
            self._ask(Piece({after: at_first, before: None}), place)

    def _unlink(self, path: Any) -> None:
        self._real["unlink"](path)
        if name := self._name(path):
            self._give_back(name)
            self._ask(Piece({name: None}))

    def _close(self, file: int) -> None:
        self._files.pop(file, None)
        self._real["close"](file)


def contents(path: Path) -> Tree:
    """The files below a directory."""
    files = [one for one in sorted(path.rglob("*")) if one.is_file()]
    return {str(one.relative_to(path)): one.read_bytes() for one in files}


def lay_out(tree: Tree, path: Path) -> None:
    """Have exactly these files below a directory."""
    for one in path.rglob("*"):
        if one.is_file():
            one.unlink()
    for name, data in tree.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)


def _subsets(numbers: list[int]) -> Iterator[set[int]]:
    assert len(numbers) <= 14, "so many unflushed writes are not tried in every combination"
    for size in range(len(numbers) + 1):
        yield from map(set, combinations(numbers, size))
