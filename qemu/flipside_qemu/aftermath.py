"""What a power cut has left behind, what the next boot makes of it, and what is wrong with that.

A recorded update is one in which nothing fails but the power. So whatever cut is made: the boot
loader finds a slot that is whole; the agent, who reads its journal there, finds an update to go on
with, or one that landed where it runs; and nothing is forgotten of which the device has spoken.
"""

from __future__ import annotations

import configparser
from collections.abc import Hashable, Iterator, Mapping, Sequence
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
    under_way,
)
from flipside_agent.update import Finished, Verdict

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
    """A model of a boot loader's script."""

    @property
    def state(self) -> Sequence[str]:
        """The files of the boot partition that it changes or that are changed for it."""

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


class Harm(StrEnum):
    """What must not come of a power cut."""

    BRICK = "brick"
    """Nothing boots, or something that is not whole."""
    LIE = "lie"
    """Somebody is going to say what is not so."""
    FORGOTTEN = "forgotten"
    """Something is lost that was on the disk for good."""
    ROLLED_BACK = "rolled back"
    """A healthy update is given up."""


class Violation(NamedTuple):
    """One thing that is wrong with a cut."""

    harm: Harm
    what: str


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
    return Expectation(attempts[0].slot, attempts[0].trial, sentence(after), status(_then(after)))


def kind_of(cycle: Cycle, remains: Remains) -> Hashable:
    """What decides about the next boot: two cuts that are alike in this are of one class."""
    state = _then(story(remains).record.state)
    ended = _ended(state)
    return (
        tuple(cycle.loader.attempts(remains.boot)),
        tuple(sorted(remains.slots.items())),
        (type(story(remains).record.state), type(state), ended and ended.outcome.verdict),
        len(entries(remains)),
        remains.data is not None and _is_written(cycle, remains.data),
        tuple(sorted({violation.harm for violation in violations(cycle, remains)})),
    )


def violations(cycle: Cycle, remains: Remains, acknowledged: int = 0) -> list[Violation]:
    """All that is wrong; ``acknowledged`` is the serial of the last record that was spoken of."""
    attempts = cycle.loader.attempts(remains.boot)
    found = [*_of_the_loader(cycle, remains, attempts), *_of_the_data(cycle, remains, acknowledged)]
    if attempts:
        state = story(remains).record.state
        found += _of_the_story(cycle, attempts[0], state)
        found += _of_the_history(cycle, attempts[0], _then(state), entries(remains))
    return found


def _of_the_loader(
    cycle: Cycle, remains: Remains, attempts: Sequence[Attempt]
) -> Iterator[Violation]:
    for name, content in cycle.first.boot.items():
        if name not in cycle.loader.state and remains.boot.get(name) != content:
            yield Violation(Harm.BRICK, f"{name} on the boot partition is damaged or gone")
    if not attempts:
        yield Violation(Harm.BRICK, "the boot loader finds no slot to start")
    for slot in dict.fromkeys(attempt.slot for attempt in attempts):
        if not cycle.is_whole(slot, remains):
            yield Violation(
                Harm.BRICK, f"the boot loader may start slot {slot}, which is {remains.slots[slot]}"
            )


def _of_the_data(cycle: Cycle, remains: Remains, acknowledged: int) -> Iterator[Violation]:
    if remains.data is None:
        yield Violation(Harm.FORGOTTEN, "the data partition cannot be mended")
        return
    if remains.data.get(IDENTITY) != (cycle.first.data or {}).get(IDENTITY):
        yield Violation(Harm.FORGOTTEN, f"{IDENTITY} is damaged or gone")
    told = story(remains)
    if told.serial < acknowledged:
        what = f"the journal is at record {told.serial}, and {acknowledged} was spoken of"
        yield Violation(Harm.FORGOTTEN, what)
    if _is_written(cycle, remains.data) and not cycle.is_whole(cycle.target, remains):
        what = f"RAUC calls slot {cycle.target} ok, which is {remains.slots[cycle.target]}"
        yield Violation(Harm.LIE, what)


def _of_the_story(cycle: Cycle, first: Attempt, state: State) -> Iterator[Violation]:
    after = _then(resumed(cycle, first, state))
    ended, known = _ended(after), under_way(after)
    if first.slot == cycle.base and ended is not None:
        what = f"{ended.outcome.verdict}, because {ended.outcome.reason}"
        yield Violation(
            Harm.ROLLED_BACK, f"the agent, in slot {first.slot}, is going to say {what}"
        )
    if first.slot != cycle.target:
        return
    update = ended.update if ended else known
    if update is None or update.action != cycle.action:
        what = f"the agent runs in slot {first.slot} and does not know of the update"
        yield Violation(Harm.LIE, what)
    elif ended and ended.outcome.verdict is not Verdict.SUCCESS:
        what = f"slot {first.slot} runs, and the agent is going to say: {ended.outcome.reason}"
        yield Violation(Harm.LIE, what)
    elif ended and first.trial:
        what = f"the agent is going to tell of success, and slot {first.slot} is not confirmed"
        yield Violation(Harm.LIE, what)


def _of_the_history(
    cycle: Cycle, first: Attempt, state: State, told: Sequence[Entry]
) -> Iterator[Violation]:
    landed = first == Attempt(cycle.target, trial=False)
    for entry in told:
        if entry.verdict != Verdict.SUCCESS or not landed:
            runs = f"slot {first.slot} runs" + (" on trial" if first.trial else "")
            what = f"the history has {entry.verdict}, and {runs}"
            yield Violation(Harm.LIE, what)
    if isinstance(state, Idle) and state.last and len(told) != 1:
        what = f"the update is over and is {len(told)} times in the history"
        yield Violation(Harm.FORGOTTEN, what)


def _then(state: State) -> State:
    """What goes on when this boot is confirmed."""
    return state.then if isinstance(state, Checking | Confirming) else state


def _ended(state: State) -> Finished | None:
    """An update that is over as far as the agent knows, however it ended."""
    match state:
        case Idle(last):
            return last
        case RollingBack() | Returning() | Abandoning() | Reporting():
            return Finished(state.update, state.outcome)
        case _:
            return None


def _is_written(cycle: Cycle, data: Mapping[str, bytes]) -> bool:
    """Whether RAUC has written down that the target is complete (its slot status file)."""
    status = configparser.ConfigParser(interpolation=None)
    try:
        status.read_string(data.get(STATUS, b"").decode())
    except (configparser.Error, UnicodeDecodeError):
        return False
    return status.get(f"slot.{cycle.rauc_name}", "status", fallback="") == "ok"
