"""What must not come of a power cut.

A recorded update is one in which nothing fails but the power. So whatever cut is made: the boot
loader finds a slot that is whole; the agent, who reads its journal there, finds an update to go on
with, or one that landed where it runs; and nothing is forgotten of which the device has spoken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from flipside_agent.history import Entry
from flipside_agent.states import Idle, State, under_way
from flipside_agent.update import Verdict
from flipside_qemu.aftermath import (
    IDENTITY,
    Attempt,
    Cycle,
    Remains,
    ended,
    entries,
    is_written,
    ordinary,
    resumed,
    story,
)


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


def violations(cycle: Cycle, remains: Remains, acknowledged: int = 0) -> list[Violation]:
    """All that is wrong; ``acknowledged`` is the serial of the last record that was spoken of."""
    attempts = cycle.loader.attempts(remains.boot)
    found = [*_of_the_loader(cycle, remains, attempts), *_of_the_data(cycle, remains, acknowledged)]
    if attempts:
        state = story(remains).record.state
        found += _of_the_story(cycle, attempts[0], state)
        found += _of_the_history(cycle, attempts[0], ordinary(state), entries(remains))
    return found


def _of_the_loader(
    cycle: Cycle, remains: Remains, attempts: Sequence[Attempt]
) -> Iterator[Violation]:
    for name, content in cycle.first.boot.items():
        if not cycle.loader.changes(name) and remains.boot.get(name) != content:
            yield Violation(Harm.BRICK, f"{name} on the boot partition is damaged or gone")
    if not attempts:
        yield Violation(Harm.BRICK, "the boot loader finds no slot to start")
    for slot in dict.fromkeys(attempt.slot for attempt in attempts):
        if not cycle.is_whole(slot, remains):
            yield Violation(
                Harm.BRICK, f"the boot loader may start slot {slot}, which is {remains.slots[slot]}"
            )
        if not cycle.loader.can_load(slot, remains.boot):
            yield Violation(
                Harm.BRICK,
                f"the boot loader may start slot {slot}, whose kernel on the boot partition is not "
                "the slot's",
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
    if is_written(cycle, remains) and not cycle.is_whole(cycle.target, remains):
        what = f"RAUC calls slot {cycle.target} ok, which is {remains.slots[cycle.target]}"
        yield Violation(Harm.LIE, what)


def _of_the_story(cycle: Cycle, first: Attempt, state: State) -> Iterator[Violation]:
    after = ordinary(resumed(cycle, first, state))
    over, known = ended(after), under_way(after)
    if first.slot == cycle.base and over is not None:
        what = f"{over.outcome.verdict}, because {over.outcome.reason}"
        yield Violation(
            Harm.ROLLED_BACK, f"the agent, in slot {first.slot}, is going to say {what}"
        )
    if first.slot != cycle.target:
        return
    update = over.update if over else known
    if update is None or update.action != cycle.action:
        what = f"the agent runs in slot {first.slot} and does not know of the update"
        yield Violation(Harm.LIE, what)
    elif over and over.outcome.verdict is not Verdict.SUCCESS:
        what = f"slot {first.slot} runs, and the agent is going to say: {over.outcome.reason}"
        yield Violation(Harm.LIE, what)
    elif over and first.trial:
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
