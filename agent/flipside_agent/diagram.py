"""Draws the machine for the documentation, by asking it: every state, every event.

``python -m flipside_agent.diagram docs/architecture.md`` draws it anew.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from flipside_agent.boot import Boot
from flipside_agent.commands import Reboot
from flipside_agent.errors import Blame
from flipside_agent.events import (
    Activated,
    Booted,
    CancelRequested,
    Event,
    Examined,
    Failed,
    Healthy,
    Inspected,
    Installed,
    MarkedBad,
    MarkedGood,
    NetworkReturned,
    Offered,
    Reported,
    Restarted,
    Unhealthy,
)
from flipside_agent.machine import pending, step
from flipside_agent.setbacks import PATIENCE, IllegalEvent
from flipside_agent.states import (
    Abandoning,
    Activating,
    Checking,
    Committing,
    Confirming,
    Doubting,
    Idle,
    Installing,
    Preparing,
    Rebooting,
    Reporting,
    Returning,
    RollingBack,
    State,
    Verifying,
    Waiting,
    status,
)
from flipside_agent.update import Bundle, Inspection, Offer, Outcome, Update, Verdict

BEGIN: Final = "<!-- drawn by `make diagram`: do not edit -->"
END: Final = "<!-- end of the drawing -->"

HASH: Final = "5" * 64
BUNDLE: Final = Bundle("https://server/bundle", 1000, "2", manifest_hash=HASH)
FLAWED: Final = replace(BUNDLE, url="nowhere")
SEEN: Final = Inspection(HASH, "2", "board", 1000, "f" * 64)
UPDATE: Final = Update("7", BUNDLE, base="A", target="B")
FAILURE: Final = Outcome(Verdict.FAILURE, "the probe failed", "probe")

CASES: Final[tuple[tuple[State, str], ...]] = (
    (Idle(), ""),
    (Preparing(UPDATE), ""),
    (Waiting(UPDATE), "not yet inspected"),
    (Waiting(UPDATE, SEEN), "inspected"),
    (Installing(UPDATE, SEEN), ""),
    (Doubting(UPDATE, SEEN), ""),
    (Activating(UPDATE), ""),
    (Rebooting(UPDATE), ""),
    (Verifying(UPDATE), ""),
    (Committing(UPDATE), ""),
    (RollingBack(UPDATE, FAILURE), ""),
    (Returning(UPDATE, FAILURE), ""),
    (Abandoning(UPDATE, FAILURE), ""),
    (Reporting(UPDATE, FAILURE), ""),
    (Checking(Idle()), "idle"),
    (Checking(Installing(UPDATE, SEEN)), "not idle"),
    (Confirming(Installing(UPDATE, SEEN)), ""),
)
"""Each state once, and twice, with the difference, where it matters what is in it."""

STATES: Final[tuple[State, ...]] = tuple(state for state, _ in CASES)

WAY: Final[tuple[tuple[str, Event], ...]] = (
    ("Offered", Offered(Offer("7", BUNDLE), booted="A", other="B")),
    ("Offered (flawed)", Offered(Offer("7", FLAWED), booted="A", other="B")),
    ("CancelRequested", CancelRequested("7")),
    ("Inspected", Inspected(SEEN)),
    ("Inspected (other hash)", Inspected(replace(SEEN, manifest_hash="6" * 64))),
    ("NetworkReturned", NetworkReturned()),
    ("Installed", Installed()),
    ("Examined (complete)", Examined(True, HASH)),
    ("Examined (incomplete)", Examined(False, HASH)),
    ("Activated", Activated()),
    ("Healthy", Healthy()),
    ("Unhealthy", Unhealthy("probe", "the probe failed")),
    ("MarkedGood", MarkedGood()),
    ("MarkedBad", MarkedBad()),
    ("Reported", Reported()),
    ("outage", Failed("no route", Blame.NETWORK)),
    ("fault", Failed("it failed", Blame.DEVICE)),
)
"""What can come of a payment while there is patience, and what the server can want."""

FROM_BASE: Final = Booted(Boot("2", "A", "B", trial=False, counted=False))
ON_TRIAL: Final = Booted(Boot("2", "B", "A", trial=True, counted=False))
BOOTS: Final = (("up on trial", ON_TRIAL), ("up from base", FROM_BASE))


def transitions() -> Iterator[tuple[str, str, str]]:
    """Every way that leads from one state to another, with the name of what leads there."""
    for state, condition in CASES:
        # A boot is a setback, except to whoever asked for it.
        asked_for = BOOTS if isinstance(pending(state), Reboot) else ()
        for name, event in (*WAY, *asked_for):
            after = follows(state, event)
            if after is not None and type(after) is not type(state):
                label = name if _always(state, event) else f"{name} ({condition})"
                yield _name(state), label, _after(state, after)


def _always(state: State, event: Event) -> bool:
    """Whether an event leads from this state to the same one, whatever is in it."""
    alike = [other for other in STATES if type(other) is type(state)]
    return len({type(follows(other, event)) for other in alike}) == 1


def follows(state: State, event: Event) -> State | None:
    """The next state; None if the event cannot happen in this one."""
    try:
        return step(state, event)
    except IllegalEvent:
        return None


def drawing() -> str:
    """The diagram and the table of setbacks, in Markdown."""
    labels: dict[tuple[str, str], list[str]] = defaultdict(list)
    for source, name, target in transitions():
        if name not in labels[source, target]:
            labels[source, target].append(name)
    arrows = [
        f"    {source} --> {target}: {' or '.join(names)}"
        for (source, target), names in labels.items()
    ]
    diagram = ["```mermaid", "stateDiagram-v2", "    [*] --> Idle", *arrows, "```"]
    return "\n".join([*diagram, "", *_setbacks()])


def _setbacks() -> Iterator[str]:
    titles = ("state", "a user sees", "owes", "agent restarted", "up from base", "up on trial")
    yield _row((*titles, "patience at an end"))
    yield _row(("---",) * 7)
    rows: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for state in STATES:
        rows[_name(state)].append(tuple(_setback_cells(state)))
    for name, alike in rows.items():
        yield _row(
            (name, *(" or ".join(dict.fromkeys(cells)) for cells in zip(*alike, strict=True)))
        )


def _setback_cells(state: State) -> Iterator[str]:
    owed = pending(state)
    yield str(status(state))
    yield type(owed).__name__ if owed else ""
    events: tuple[Event, ...] = (Restarted(), FROM_BASE, ON_TRIAL)
    yield from (_after_setback(state, event) for event in events)
    yield _cell(state, _exhausted(state))


def _exhausted(state: State) -> State | None:
    """What follows one more setback when there is no patience left."""
    match state:
        case Idle() | Reporting():
            return state
        case Checking() | Confirming():
            return follows(replace(state, spent=PATIENCE), Restarted())
        case RollingBack(update) | Returning(update):
            return follows(replace(state, update=update.spend(PATIENCE)), ON_TRIAL)
        case _:
            spent = replace(state, update=state.update.spend(PATIENCE))
            return follows(spent, Failed("it failed", Blame.DEVICE))


def _after_setback(state: State, event: Event) -> str:
    after = follows(state, event)
    if isinstance(state, Checking | Confirming) and after == follows(state.then, event):
        return "as UnderWay"
    return _cell(state, after)


def _cell(state: State, after: State | None) -> str:
    if after is None or type(after) is type(state):
        return "stays"
    return _after(state, after)


def _name(state: State) -> str:
    return type(state).__name__


def _after(state: State, after: State) -> str:
    under_way = isinstance(state, Checking | Confirming) and after == state.then
    return "UnderWay" if under_way else _name(after)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def redrawn(text: str) -> str:
    """A page with the drawing in it brought up to date."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{drawing()}\n{END}{after}"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(redrawn(page.read_text()))
