"""Sealed pages that are overwritten in turn, and the preallocated file that they are in.

Only the oldest page is ever overwritten, so a torn write costs nothing but what it was to replace,
and once the file is made, no space is needed: a full data partition stops nothing. Nothing is
truncated and nothing renamed. The file is made at the first write and flushed together with its
directory.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from flipside_agent.errors import DeviceError, OperatorError
from flipside_agent.page import SIZE, Page, seal, unseal


class Pages(Protocol):
    """Numbered pages on something that survives a power cut."""

    def read(self, number: int) -> bytes: ...
    def write(self, number: int, raw: bytes) -> None: ...


class _Found(NamedTuple):
    page: Page
    number: int


class Ring:
    """The newest pages of an endless story."""

    def __init__(self, pages: Pages, count: int) -> None:
        """`count` is for ever: an agent of another age goes round the same ring."""
        self._pages = pages
        self._count = count

    def newest_first(self) -> list[Page]:
        """The pages that are whole."""
        return [found.page for found in self._found()]

    def write(self, version: int, payload: bytes) -> None:
        """Write one more page over the oldest; when this returns, it survives a power cut."""
        found = self._found()
        serial, number = (found[0].page.serial + 1, found[0].number + 1) if found else (1, 0)
        self._pages.write(number % self._count, seal(Page(serial, version, payload)))

    def _found(self) -> list[_Found]:
        pages = ((unseal(self._pages.read(number)), number) for number in range(self._count))
        found = [_Found(page, number) for page, number in pages if page]
        return sorted(found, key=lambda each: each.page.serial, reverse=True)


class FilePages:
    """Pages in a file of a fixed size."""

    def __init__(self, path: Path, count: int = 2, what: str = "journal") -> None:
        """`what` is what people call the file."""
        self._path = path
        self._count = count
        self._what = what

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

    def make(self) -> None:
        """Take the room that the pages need, unless they have it."""
        with self._opened():
            pass

    def write(self, number: int, raw: bytes) -> None:
        """Overwrite one page in place and flush it."""
        with self._opened() as file:
            _put(file, raw, number * SIZE)
            os.fdatasync(file)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        with self._blamed("write"):
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                self._fill(file)
                yield file
            finally:
                os.close(file)

    def _fill(self, file: int) -> None:
        """Give a new file all its pages; from then on a write needs no space."""
        size = os.fstat(file).st_size
        if size >= self._count * SIZE:
            return
        _put(file, bytes(self._count * SIZE - size), size)
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
                f"{self._path}: user {os.geteuid()} has no permission to {verb} the {self._what}, "
                "expected root, or the owner of the file and its directory"
            ) from error
        except FileNotFoundError as error:
            raise DeviceError(
                f"{self._path.parent}: no such directory, "
                "expected the data partition to be mounted and to have it"
            ) from error
        except OSError as error:
            raise DeviceError(
                f"{self._path}: cannot {verb} the {self._what}: {error.strerror}"
            ) from error


def _put(file: int, raw: bytes, offset: int) -> None:
    if os.pwrite(file, raw, offset) != len(raw):
        raise OSError(errno.ENOSPC, "the write was cut short")
