"""Where fetched bytes of a bundle wait for RAUC: a sparse file on the data partition."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flipside_agent import spoolmap
from flipside_agent.errors import DeviceError
from flipside_agent.ranges import Range, Ranges, add, total

FLUSHED_EVERY = 8 << 20
"""Bytes that a power cut may cost: after so many, what was written is flushed and mapped."""

_LARGEST_MAP = 1 << 20


class Spool:
    """What was fetched of one bundle; survives a restart and a power cut."""

    ahead = 8 << 20
    """Bytes worth fetching before they are asked for."""

    def __init__(self, data: int, map_: int, held: Ranges) -> None:
        self._data = data
        self._map = map_
        self._unmapped: Ranges = ()
        self.held = held
        """Replaced, never changed: may be read from any thread."""

    def write(self, offset: int, pieces: Sequence[bytes]) -> None:
        """Keep pieces that follow upon each other."""
        written = Range(offset, offset + sum(map(len, pieces)))
        try:
            done = os.pwritev(self._data, pieces, offset)
            if done < written.length:  # the disk is full, and the next attempt says so
                os.pwrite(self._data, b"".join(pieces)[done:], offset + done)
        except OSError as error:
            raise DeviceError(f"the spool cannot be written: {error.strerror}") from error
        self._unmapped = add(self._unmapped, written)
        self.held = add(self.held, written)

    def read(self, wanted: Range) -> bytes:
        """Return bytes that are held."""
        try:
            found = os.pread(self._data, wanted.length, wanted.start)
        except OSError as error:
            raise DeviceError(f"the spool cannot be read: {error.strerror}") from error
        if len(found) != wanted.length:
            raise DeviceError(f"the spool ends before byte {wanted.stop}, which it should hold")
        return found

    def settle(self) -> None:
        """Make sure of what was kept once there is enough of it."""
        if total(self._unmapped) >= FLUSHED_EVERY:
            self._flush()

    def _flush(self) -> None:
        with _told("flushed"):
            os.fdatasync(self._data)
            for held in self._unmapped:
                os.write(self._map, spoolmap.record(held))
            os.fdatasync(self._map)
        self._unmapped = ()

    def close(self) -> None:
        """Make sure of what is held and let the files go."""
        try:
            self._flush()
        finally:
            os.close(self._data)
            os.close(self._map)


@dataclass(frozen=True, slots=True)
class SpoolFolder:
    """The folder that holds the spool of at most one bundle."""

    path: Path
    reserve: int
    """Bytes of the file system that a spool leaves free."""

    def open(self, key: str, size: int) -> Spool | None:
        """Return the spool of a bundle, with what it holds already; None if there is no room."""
        with _told("opened"):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            data, map_ = self._file("bundle"), self._file("bundle.map")
            held = _resumed(data, map_, key, size)
            free = os.fstatvfs(data)
            spool = Spool(data, map_, held)
            if free.f_bavail * free.f_frsize >= size - total(held) + self.reserve:
                return spool
            spool.close()
            return None

    def drop(self) -> None:
        """Throw away whatever is spooled."""
        with _told("thrown away"):
            # The map first: without it the data means nothing.
            for name in ("bundle.map", "bundle"):
                (self.path / name).unlink(missing_ok=True)

    def _file(self, name: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(self.path / name, flags, 0o600)


def _resumed(data: int, map_: int, key: str, size: int) -> Ranges:
    """Return what is held of a bundle, having thrown out what is held of any other."""
    held, sound = spoolmap.held_in(os.pread(map_, _LARGEST_MAP, 0), key, size)
    os.ftruncate(map_, sound)
    if not sound:
        os.fdatasync(map_)
        os.ftruncate(data, 0)
        os.pwrite(map_, spoolmap.header(key, size), 0)
        os.fdatasync(map_)
    os.lseek(map_, 0, os.SEEK_END)
    return held


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DeviceError(f"the spool cannot be {what}: {error.strerror}") from error
