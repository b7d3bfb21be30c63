"""The journal: two pages in one preallocated file, overwritten in turn and flushed.

The page that is not the newest is overwritten, so a torn write costs nothing but itself, and no
space is needed: a full data partition stops no commit. Nothing is truncated and nothing renamed.

What is found, and what is made of it:

* no file, or both pages unreadable: no story; the device is idle, the file is made at the first
  save and flushed together with its directory;
* one page unreadable: the other one counts, it is the state before the write that was torn;
* a page of an older or a newer agent: read as :mod:`flipside_agent.record` says; if it says
  nothing to this agent, the page before it counts, which tells of the same update;
* no directory, no permission, a read-only file system: an error. What an agent does that cannot
  write down what it is about to do is in :mod:`flipside_agent.runner`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from flipside_agent.errors import OperatorError
from flipside_agent.pages import Pages, Ring
from flipside_agent.record import Record, decode, encode

PAGES: Final = 2


class MemoryPages:
    """Two pages that last as long as the process."""

    def __init__(self) -> None:
        self._pages = [b""] * PAGES

    def read(self, number: int) -> bytes:
        """One page; empty if it was never written."""
        return self._pages[number]

    def write(self, number: int, raw: bytes) -> None:
        """Overwrite one page."""
        self._pages[number] = raw


class Journal:
    """Keeps the newest record in one of two pages."""

    def __init__(self, pages: Pages) -> None:
        self._ring = Ring(pages, PAGES)

    def load(self) -> Record | None:
        """The newest record; None if there is no story to continue."""
        pages = self._ring.newest_first()
        records = (decode(page.payload, page.format) for page in pages)
        return next((record for record in records if record), None)

    def save(self, record: Record) -> None:
        """Write down a record; when this returns, it survives a power cut."""
        self._ring.write(record.format, encode(record))


@contextmanager
def sole_owner(path: Path) -> Iterator[None]:
    """Refuse to go on while another agent has this journal; two would undo each other's story.

    The lock is on the directory: it needs no write, and goes when its holder dies.
    """
    try:
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield  # then there is no journal either, and who reads it will say why
        return
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
