"""A disk that remembers what was asked of it, and what a power cut could leave at any moment.

What the code under test asks of ``os`` for one directory is carried out and written down.
Afterwards the list is cut anywhere: what was flushed before is there; of the rest each write, each
change of a length and each new name may be there, or not, or be torn.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

SECTOR = 512
Tree = dict[str, bytes]
"""What lies in the directory, by name."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that was asked of the disk, or said about it."""

    verb: str
    inode: int = 0
    """The file, numbered by the recorder; 0 is the directory."""
    offset: int = 0
    data: bytes = b""
    names: tuple[str, ...] = ()
    since: int = 0
    """Of a flush: how many entries of the list had been carried out when it began."""


@dataclass
class RecordedDisk:
    """The list, and the directory as it was before."""

    path: Path
    asked: list[Asked] = field(default_factory=list)
    before: Tree = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._inodes: dict[str, int] = {}
        self._files: dict[int, int] = {}
        self._real: dict[str, Callable[..., Any]] = {}

    def say(self, what: str) -> None:
        """Note that something was promised to somebody at this moment."""
        with self._lock:
            self.asked.append(Asked("say", names=(what,)))

    @contextmanager
    def recording(self) -> Iterator[RecordedDisk]:
        """Write down what is asked of the directory meanwhile."""
        self.before = contents(self.path)
        self._inodes = {name: number for number, name in enumerate(self.before, start=1)}
        self._start = dict(self._inodes)
        with pytest.MonkeyPatch.context() as patch:
            for verb in _VERBS:
                self._real[verb] = getattr(os, verb)
                patch.setattr(os, verb, getattr(self, "_" + verb))
            yield self

    def cuts(self, seed: int, chances: int) -> Iterator[tuple[list[str], Tree, str]]:
        """For every moment: what was promised, some of what a cut may leave, and its name."""
        chance = random.Random(seed)
        for end in range(len(self.asked) + 1):
            promised = [one.names[0] for one in self.asked[:end] if one.verb == "say"]
            loose = self._loose(end)
            for name, kept in _choices(loose, chance, chances):
                tree = self._tree(end, set(loose) - set(kept), kept)
                yield promised, tree, f"cut {end}, {name}"

    def _loose(self, end: int) -> list[int]:
        """What need not be on the disk at that moment."""
        flushed: dict[int, int] = {}
        for one in self.asked[:end]:
            if one.verb == "flush":
                flushed[one.inode] = max(one.since, flushed.get(one.inode, 0))
        return [
            number
            for number, one in enumerate(self.asked[:end])
            if one.verb in _LOOSE and number >= flushed.get(one.inode, 0)
        ]

    def _tree(self, end: int, dropped: set[int], torn: dict[int, Tear]) -> Tree:
        names = dict(self._start)
        files = {number: bytearray(self.before[name]) for name, number in self._start.items()}
        for number, one in enumerate(self.asked[:end]):
            if number in dropped:
                continue
            match one.verb:
                case "write":
                    _put(files.setdefault(one.inode, bytearray()), one, torn.get(number))
                case "resize":
                    _resize(files.setdefault(one.inode, bytearray()), one.offset)
                case "name":
                    names[one.names[0]] = int(one.offset)
                case "rename" if one.names[0] in names:
                    names[one.names[1]] = names.pop(one.names[0])
                case "unlink":
                    names.pop(one.names[0], None)
        return {name: bytes(files.get(number, b"")) for name, number in names.items()}

    def _name(self, path: Any) -> str | None:
        place = Path(path)
        return place.name if place.parent == self.path else None

    def _open(self, path: Any, flags: int, *rest: Any, **more: Any) -> int:
        with self._lock:
            known = Path(path).exists()
            file: int = self._real["open"](path, flags, *rest, **more)
            name = self._name(path)
            if Path(path) == self.path:
                self._files[file] = 0
            elif name is not None:
                if not known:
                    inode = 1 + max([*self._inodes.values(), *self._files.values(), 0])
                    inode = max(inode, 1 + max((one.inode for one in self.asked), default=0))
                    self._inodes[name] = inode
                    self.asked.append(Asked("name", 0, inode, names=(name,)))
                elif flags & os.O_TRUNC:
                    self.asked.append(Asked("resize", self._inodes[name], 0))
                self._files[file] = self._inodes[name]
            else:
                self._files.pop(file, None)
            return file

    def _pwrite(self, file: int, data: bytes, offset: int) -> int:
        with self._lock:
            done: int = self._real["pwrite"](file, data, offset)
            if file in self._files:
                self.asked.append(Asked("write", self._files[file], offset, bytes(data[:done])))
            return done

    def _ftruncate(self, file: int, size: int) -> None:
        with self._lock:
            self._real["ftruncate"](file, size)
            if file in self._files:
                self.asked.append(Asked("resize", self._files[file], size))

    def _posix_fallocate(self, file: int, offset: int, length: int) -> None:
        with self._lock:
            self._real["posix_fallocate"](file, offset, length)
            if file in self._files:
                self.asked.append(Asked("resize", self._files[file], offset + length))

    def _fsync(self, file: int) -> None:
        # The real flush is not waited for: nobody pulls the plug of this machine.
        with self._lock:
            inode, since = self._files.get(file), len(self.asked)
        _pause()
        if inode is not None:
            with self._lock:
                self.asked.append(Asked("flush", inode, since=since))

    _fdatasync = _fsync

    def _replace(self, old: Any, new: Any) -> None:
        with self._lock:
            self._real["replace"](old, new)
            before, after = self._name(old), self._name(new)
            if before and after:
                self._inodes[after] = self._inodes.pop(before)
                self.asked.append(Asked("rename", names=(before, after)))

    def _unlink(self, path: Any, **more: Any) -> None:
        with self._lock:
            self._real["unlink"](path, **more)
            name = self._name(path)
            if name:
                self._inodes.pop(name, None)
                self.asked.append(Asked("unlink", names=(name,)))

    def _link(self, old: Any, new: Any, **more: Any) -> None:
        with self._lock:
            self._real["link"](old, new, **more)
            before, after = self._name(old), self._name(new)
            if before and after:
                self._inodes[after] = self._inodes[before]
                self.asked.append(Asked("name", 0, self._inodes[before], names=(after,)))

    def _close(self, file: int) -> None:
        with self._lock:
            self._files.pop(file, None)
            self._real["close"](file)


_VERBS = (
    "open",
    "pwrite",
    "ftruncate",
    "posix_fallocate",
    "fsync",
    "fdatasync",
    "replace",
    "unlink",
    "link",
    "close",
)
_LOOSE = ("write", "resize", "name", "rename", "unlink")
Tear = Callable[[Asked], set[int]]
"""The sectors of a write that arrive."""


def contents(path: Path) -> Tree:
    """The files in a directory."""
    return {one.name: one.read_bytes() for one in sorted(path.iterdir()) if one.is_file()}


def laid_out(tree: Tree, path: Path) -> Path:
    """A directory with exactly these files."""
    path.mkdir(exist_ok=True)
    for one in path.iterdir():
        one.unlink()
    for name, data in tree.items():
        (path / name).write_bytes(data)
    return path


def _choices(
    loose: list[int], chance: random.Random, chances: int
) -> Iterator[tuple[str, dict[int, Tear]]]:
    """Which loose entries are on the disk, and how torn: none, all, all but one, and by chance."""
    yield "nothing loose", {}
    if not loose:
        return
    yield "all loose", dict.fromkeys(loose, _whole)
    for left_out in loose[-6:]:
        yield f"all but {left_out}", {one: _whole for one in loose if one != left_out}
        yield f"{left_out} torn", {one: _front if one == left_out else _whole for one in loose}
    for number in range(chances):
        kept = [one for one in loose if chance.random() < 0.6]
        tears = [_whole, _whole, _front, _sieve(chance.randrange(1 << 30))]
        yield f"chance {number}", {one: chance.choice(tears) for one in kept}


def _sectors(one: Asked) -> list[int]:
    return list(range(one.offset // SECTOR, (one.offset + len(one.data) - 1) // SECTOR + 1))


def _whole(one: Asked) -> set[int]:
    return set(_sectors(one))


def _front(one: Asked) -> set[int]:
    sectors = _sectors(one)
    return set(sectors[: len(sectors) // 2])


def _sieve(seed: int) -> Tear:
    def sieve(one: Asked) -> set[int]:
        chance = random.Random(seed)
        return {sector for sector in _sectors(one) if chance.random() < 0.5}

    return sieve


def _put(file: bytearray, one: Asked, tear: Tear | None) -> None:
    end = one.offset + len(one.data)
    if len(file) < end:
        file.extend(bytes(end - len(file)))
    if tear is None:
        file[one.offset : end] = one.data
        return
    for sector in tear(one):
        begin, stop = max(sector * SECTOR, one.offset), min((sector + 1) * SECTOR, end)
        file[begin:stop] = one.data[begin - one.offset : stop - one.offset]


def _resize(file: bytearray, size: int) -> None:
    if len(file) > size:
        del file[size:]
    else:
        file.extend(bytes(size - len(file)))


def _pause() -> None:
    """Let other threads run, as they do while a disk is waited for."""
    threading.Event().wait(0.0005)
