"""Keeps the device's history: what became of each update, in pages that survive a power cut."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from flipside_agent.boot import Boot
from flipside_agent.history import FORMAT, PAGES, Entry, decode, encode, ended
from flipside_agent.pages import FilePages, Ring
from flipside_agent.update import Outcome, Update

Testify: TypeAlias = Callable[[str, Container[str]], Awaitable[tuple[str, tuple[str, ...]]]]
"""Says which boot tried a slot last, unless it is one of those, and its last lines."""


class Archive:
    """The entries that there are."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def entries(self) -> list[Entry]:
        """What is known, oldest first; a page that nobody can read is left out."""
        found = (decode(page.payload) for page in reversed(self._ring.newest_first()))
        return [entry for entry in found if entry]

    def add(self, entry: Entry) -> None:
        """Write down one more; the oldest makes room."""
        self._ring.write(FORMAT, encode(entry))


def archive(path: Path) -> Archive:
    """The archive in a file."""
    return Archive(Ring(_pages(path), PAGES))


def prepare(path: Path) -> None:
    """Take the room for an archive as long as there is some: to write it needs none any more."""
    _pages(path).make()


def _pages(path: Path) -> FilePages:
    return FilePages(path, PAGES, "history")


@dataclass(frozen=True, slots=True)
class Chronicle:
    """Writes down how an update ended, once."""

    archive: Archive
    boot: Boot
    now: Callable[[], datetime]
    testify: Testify

    async def note(self, update: Update, outcome: Outcome) -> None:
        """Add an entry, unless the newest tells of this ending."""
        entries = self.archive.entries()
        entry = ended(update, outcome, self.boot, self.now())
        if entries and entry.tells_of(entries[-1]):
            return
        self.archive.add(await self._told(entry, entries) if entry.failed else entry)

    async def _told(self, entry: Entry, before: list[Entry]) -> Entry:
        """The entry with the last words of the boot that failed, if there are any."""
        told = {self.boot.id, *(each.boot for each in before)}
        boot, lines = await self.testify(entry.slot, told)
        return entry.told_by(boot, lines) if boot else entry
