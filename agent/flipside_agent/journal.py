"""The journal: two pages in one preallocated file, overwritten in turn and flushed.

The page that is not the newest is overwritten, so a torn write costs nothing but itself, and no
space is needed: a full data partition stops no commit. Nothing is truncated and nothing renamed.

What is found, and what is made of it:

* no file, or both pages unreadable: no story; the device is idle, the file is made at the first
  save and flushed together with its directory;
* one page unreadable: the other one counts, it is the state before the write that was torn;
* a page of an older or a newer agent: read as :mod:`flipside_agent.record` says; if it says
  nothing to this agent, the page before it counts, which tells of the same update;
* no directory, no permission, a read-only file system: an error. An agent that cannot write down
  what it is about to do does nothing, confirms nothing, and leaves the rest to the boot counter.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from flipside_agent.errors import DeviceError, OperatorError
from flipside_agent.page import SIZE, Page, seal, unseal
from flipside_agent.record import Record, decode, encode

PAGES: Final = 2


class Pages(Protocol):
    """Two pages on something that survives a power cut."""

    def read(self, number: int) -> bytes: ...
    def write(self, number: int, raw: bytes) -> None: ...


class _Found(NamedTuple):
    page: Page
    number: int


class Journal:
    """Keeps the newest record in one of two pages."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def load(self) -> Record | None:
        """The newest record; None if there is no story to continue."""
        records = (decode(found.page.payload, found.page.format) for found in self._found())
        return next((record for record in records if record), None)

    def save(self, record: Record) -> None:
        """Write down a record; when this returns, it survives a power cut."""
        found = self._found()
        serial, number = (found[0].page.serial + 1, 1 - found[0].number) if found else (1, 0)
        self._pages.write(number, seal(Page(serial, record.format, encode(record))))

    def _found(self) -> list[_Found]:
        """The pages that are whole, newest first."""
        pages = ((unseal(self._pages.read(number)), number) for number in range(PAGES))
        found = [_Found(page, number) for page, number in pages if page]
        return sorted(found, key=lambda each: each.page.serial, reverse=True)


@contextmanager
def sole_owner(path: Path) -> Iterator[None]:
    """Refuse to go on while another agent has this journal; two would undo each other's story.

    The lock is on the directory: it needs no write, and goes when its holder dies.
    """
    try:
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise DeviceError(f"{path.parent} cannot be opened: {error.strerror}") from error
    try:
        _lock(directory, path)
        yield
    finally:
        os.close(directory)


def _lock(directory: int, path: Path) -> None:
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OperatorError(f"{path}: another flipside-agent is at work on this journal") from error


class FilePages:
    """The two pages in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, number: int) -> bytes:
        """One page; short or empty if the file does not have it."""
        with self._blamed("read"):
            try:
                file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                self._path.parent.stat()  # no directory is another matter than no file
                return b""
            try:
                return os.pread(file, SIZE, number * SIZE)
            finally:
                os.close(file)

    def write(self, number: int, raw: bytes) -> None:
        """Overwrite one page in place and flush it."""
        with self._blamed("write"):
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                self._fill(file)
                _put(file, raw, number * SIZE)
                os.fdatasync(file)
            finally:
                os.close(file)

    def _fill(self, file: int) -> None:
        """Give a new file its two pages; from then on a write needs no space."""
        size = os.fstat(file).st_size
        if size >= PAGES * SIZE:
            return
        _put(file, bytes(PAGES * SIZE - size), size)
        os.fsync(file)
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    @contextmanager
    def _blamed(self, verb: str) -> Iterator[None]:
        try:
            yield
        except PermissionError as error:
            raise OperatorError(
                f"{self._path}: no permission to {verb} the journal, "
                f"expected it and its directory to belong to user {os.geteuid()}"
            ) from error
        except FileNotFoundError as error:
            raise DeviceError(
                f"{self._path.parent}: no such directory, "
                "expected the data partition to be mounted and to have it"
            ) from error
        except OSError as error:
            raise DeviceError(
                f"{self._path}: cannot {verb} the journal: {error.strerror}"
            ) from error


def _put(file: int, raw: bytes, offset: int) -> None:
    if os.pwrite(file, raw, offset) != len(raw):
        raise OSError(errno.ENOSPC, "the write was cut short")
