"""What a power cut has left on a disk, as values, and what the next boot makes of it."""

from __future__ import annotations

import configparser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple, Protocol

from flipside_agent import history, journal
from flipside_agent.boot import Boot
from flipside_agent.history import Entry
from flipside_agent.journal import Journal
from flipside_agent.page import SIZE
from flipside_agent.pages import Ring
from flipside_agent.record import Record
from flipside_agent.setbacks import booted
from flipside_agent.states import (
    Abandoning,
    Checking,
    Confirming,
    Idle,
    Reporting,
    Returning,
    RollingBack,
    State,
    Status,
    sentence,
    status,
)
from flipside_agent.update import Finished

JOURNAL = "flipside/journal"
HISTORY = "flipside/history"
IDENTITY = "flipside/device.toml"
STATUS = "rauc/central.raucs"
"""Files of the data partition."""


class Content(StrEnum):
    """What is in a slot."""

    OLD = "as it was"
    HALF = "half written"
    NEW = "as shipped"


class Attempt(NamedTuple):
    """A slot that the boot loader starts, if those before it have failed."""

    slot: str
    trial: bool


class Loader(Protocol):
    """A model of a boot loader."""

    def changes(self, name: str) -> bool:
        """Whether this file of the boot partition is changed in the life of a device."""

    def can_load(self, slot: str, files: Mapping[str, bytes]) -> bool:
        """Whether all is whole that it takes from the boot partition to start this slot."""

    def attempts(self, files: Mapping[str, bytes]) -> Sequence[Attempt]:
        """What it starts, in this order; nothing if it would try for ever, or not at all."""


@dataclass(frozen=True, slots=True)
class Remains:
    """What is on a disk."""

    boot: Mapping[str, bytes]
    """The files of the boot partition, or digests of large ones; empty if nobody can read it."""
    slots: Mapping[str, Content]
    data: Mapping[str, bytes] | None
    """Some files of the data partition; None if it cannot be mounted, whatever is tried."""


@dataclass(frozen=True, slots=True)
class Story:
    """What the agent will read in its journal."""

    serial: int
    """Of the newest page; 0 if there is none."""
    record: Record


class Expectation(NamedTuple):
    """What the next boot will show on the console."""

    slot: str
    trial: bool
    words: str
    """The first sentence of the agent."""
    after: Status
    """What it does once the boot is confirmed."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """The recorded update: from one slot to the other, and nothing went wrong."""

    loader: Loader
    first: Remains
    """Before the first write: the base runs, the target is not to be booted."""
    action: str
    base: str = "A"
    target: str = "B"
    rauc_name: str = "rootfs.1"
    """What RAUC calls the target."""

    def is_whole(self, slot: str, remains: Remains) -> bool:
        """Whether this slot has what belongs into it."""
        return remains.slots[slot] is (Content.OLD if slot == self.base else Content.NEW)


class _Print(NamedTuple):
    """A file of pages that can only be read."""

    raw: bytes

    def read(self, number: int) -> bytes:
        return self.raw[number * SIZE : (number + 1) * SIZE]

    def write(self, number: int, raw: bytes) -> None:
        # Foretelling only reads; a write would be a bug of ours.
        raise NotImplementedError(number, raw)


def story(remains: Remains) -> Story:
    """What the agent is going to read; without a journal it has never done anything."""
    return _story((remains.data or {}).get(JOURNAL, b""))


def entries(remains: Remains) -> tuple[Entry, ...]:
    """What the device will say of its past, newest first."""
    return _entries((remains.data or {}).get(HISTORY, b""))


@lru_cache(maxsize=4096)
def _story(raw: bytes) -> Story:
    pages = _Print(raw)
    serials = [page.serial for page in Ring(pages, journal.PAGES).newest_first()]
    return Story(max(serials, default=0), Journal(pages).load() or Record(Idle(), boot=""))


@lru_cache(maxsize=4096)
def _entries(raw: bytes) -> tuple[Entry, ...]:
    pages = Ring(_Print(raw), history.PAGES).newest_first()
    return tuple(entry for page in pages if (entry := history.decode(page.payload)))


def resumed(cycle: Cycle, first: Attempt, state: State) -> State:
    """What the agent makes of its story when this attempt comes up, as the real one does."""
    other = cycle.base if first.slot == cycle.target else cycle.target
    return booted(state, Boot("after the cut", first.slot, other, first.trial, counted=True))


def expected(cycle: Cycle, remains: Remains) -> Expectation | None:
    """What the next boot will show; None if there will be none."""
    attempts = cycle.loader.attempts(remains.boot)
    if not attempts:
        return None
    after = resumed(cycle, attempts[0], story(remains).record.state)
    return Expectation(
        attempts[0].slot, attempts[0].trial, sentence(after), status(ordinary(after))
    )


def ordinary(state: State) -> State:
    """What goes on when this boot is confirmed."""
    return state.then if isinstance(state, Checking | Confirming) else state


def ended(state: State) -> Finished | None:
    """An update that is over as far as the agent knows, however it ended."""
    match state:
        case Idle(last):
            return last
        case RollingBack() | Returning() | Abandoning() | Reporting():
            return Finished(state.update, state.outcome)
        case _:
            return None


def is_written(cycle: Cycle, remains: Remains) -> bool:
    """Whether RAUC has written down that the target is complete (its slot status file)."""
    file = configparser.ConfigParser(interpolation=None)
    try:
        file.read_string((remains.data or {}).get(STATUS, b"").decode())
    except (configparser.Error, UnicodeDecodeError):
        return False
    return file.get(f"slot.{cycle.rauc_name}", "status", fallback="") == "ok"
