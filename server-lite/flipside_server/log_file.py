"""The log of records on the disk: lines are appended, and threads that wait share a flush."""

from __future__ import annotations

import errno
import os
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flipside_server.catalog import place, span
from flipside_server.errors import StorageError, StorageFullError
from flipside_server.log_line import Change, Entry, written
from flipside_server.schema import CURRENT, read

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_GROWTH = 1 << 20
"""Bytes of room taken at once: a flush that need not move the end of the file costs half."""
_LONGEST_HEADER = 200

Mark = tuple[int, int]
"""How much had been written: how often the file was replaced, and the bytes of it."""


@dataclass(frozen=True, slots=True)
class Extent:
    """An open log and what is known of it."""

    file: int
    size: int
    """Bytes up to the end of the last whole line."""
    crc: int
    """CRC-32 of these bytes."""
    schema: int = CURRENT


class LogFile:
    """Appends lines, reads them back, and makes them durable."""

    def __init__(self, path: Path, extent: Extent) -> None:
        self.path = path
        self._extent = extent
        self._room = os.fstat(extent.file).st_size
        self.turn = threading.Condition(threading.RLock())
        """Held by whoever must not see a line move."""
        self._flushing = False
        self._generation = 0
        self._flushed = extent.size
        self._failure: OSError | None = None

    @property
    def extent(self) -> Extent:
        """The log as it is now."""
        return self._extent

    @property
    def sound(self) -> bool:
        """Whether every flush did what it should."""
        return self._failure is None

    @property
    def first_line(self) -> int:
        """Where the header ends."""
        return os.pread(self._extent.file, _LONGEST_HEADER, 0).find(b"\n") + 1

    def mark(self) -> Mark:
        """Everything that was written until now."""
        with self.turn:
            return self._generation, self._extent.size

    def append(self, changes: list[Change]) -> int:
        """Write the line that makes these changes; its place. ``settle`` makes it durable."""
        with self.turn:
            self._check_sound()
            line = written(self._flushed, changes)
            known = self._extent
            self._put(line, known.size)
            size, crc = known.size + len(line), zlib.crc32(line, known.crc)
            self._extent = Extent(known.file, size, crc, known.schema)
            return place(known.size, len(line))

    def settle(self, mark: Mark) -> None:
        """Return when everything up to the mark is on the disk."""
        with self.turn:
            while (self._generation, self._flushed) < mark:
                self._check_sound()
                if self._flushing:
                    self.turn.wait()
                else:
                    self._flush()

    def entry(self, at: int) -> Entry:
        """What the line at a place says; within ``turn``."""
        offset, length = span(at)
        try:
            line = os.pread(self._extent.file, length, offset)
        except OSError as error:
            raise StorageError(f"cannot read {self.path}: {error.strerror}") from error
        found = read(line, self._extent.schema)
        if found is None:
            raise StorageError(
                f"{self.path} was damaged at byte {offset} while the server ran: stop it and see "
                "'flipside-server check'"
            )
        return found

    @contextmanager
    def still(self) -> Iterator[None]:
        """Let nobody write, read or flush meanwhile."""
        with self.turn:
            while self._flushing:
                self.turn.wait()
            self._check_sound()
            yield

    def replace(self, beside: Path, extent: Extent) -> None:
        """Put a flushed file in this one's place; within ``still``."""
        beside.replace(self.path)
        old, self._extent = self._extent, extent
        self._room = os.fstat(extent.file).st_size
        os.close(old.file)
        try:
            flush_directory(self.path.parent)
        except OSError as error:
            # A cut may bring back the old file, so nothing more may be promised.
            self._failure = error
        else:
            self._generation, self._flushed = self._generation + 1, extent.size
        finally:
            self.turn.notify_all()

    def close(self) -> None:
        """Let go of the file, and of the room that was taken ahead."""
        if self.sound and self._room > self._extent.size:
            os.ftruncate(self._extent.file, self._extent.size)
        os.close(self._extent.file)

    def _flush(self) -> None:
        file, reach = self._extent.file, self._extent.size
        self._flushing = True
        self.turn.release()
        failure = None
        try:
            os.fdatasync(file)
        except OSError as error:
            # After a failed flush nobody knows what is on the disk; a second one may lie.
            failure = error
        finally:
            self.turn.acquire()
            self._flushing = False
            self.turn.notify_all()
        if failure is None:
            self._flushed = reach
        else:
            self._failure = failure

    def _check_sound(self) -> None:
        if self._failure is not None:
            raise StorageError(
                f"cannot flush {self.path} ({self._failure.strerror}), so that nobody knows what "
                "is on the disk: restart the server to read it anew"
            ) from self._failure

    def _put(self, line: bytes, offset: int) -> None:
        self._make_room(offset + len(line))
        try:
            write_at(self._extent.file, line, offset)
        except OSError as error:
            self._take_back(offset)
            family = StorageFullError if error.errno in NO_ROOM else StorageError
            raise family(
                f"cannot write to {self.path}: {error.strerror}; nothing was changed"
            ) from error

    def _make_room(self, end: int) -> None:
        if end <= self._room:
            return
        try:
            os.posix_fallocate(self._extent.file, self._room, end - self._room + _GROWTH)
            self._room = end + _GROWTH
        except OSError:
            # The disk is all but full, or cannot do it: the write itself will tell.
            self._room = end

    def _take_back(self, size: int) -> None:
        try:
            os.ftruncate(self._extent.file, size)
            self._room = size
        except OSError as error:
            self._failure = error


def write_at(file: int, data: bytes, offset: int) -> None:
    """Write all of it there."""
    done = 0
    while done < len(data):
        done += os.pwrite(file, data[done:], offset + done)


def flush_directory(path: Path) -> None:
    """Put the names in a directory on the disk."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
