"""The quick verdict on a machine: is it worth living with?

What ``make mutants`` asks of each mutant. The full number of scenarios is in
``tests/agent/test_model.py``; these are the ones that notice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from models.cuts import Tally, explore
from models.laws import LAWS
from models.misfortunes import MISFORTUNES
from models.newer import polite, rude
from models.odd_beginnings import ODD_BEGINNINGS, Story
from models.rest import at_rest
from models.scenario import FOREVER, Kind, Scenario
from models.worn_disk import WORN_DISK

STORIES: Final[Mapping[str, Story]] = {**LAWS, **ODD_BEGINNINGS, **MISFORTUNES, **WORN_DISK}
VERBS: Final = (
    "inspect",
    "install",
    "slot_status",
    "activate",
    "mark_good",
    "mark_bad",
    "diagnose",
    "reboot",
    "regained",
)


def judge() -> Tally:
    """Raise whatever a bad machine raises, or say how much was tried."""
    for story in STORIES.values():
        story()
    return sum((explore(scenario, 1, at_rest) for scenario in scenarios()), Tally())


def scenarios() -> Iterator[Scenario]:
    """A few of each kind."""
    for kind in Kind:
        yield Scenario(kind)
        yield Scenario(kind, outage=(2, 5))
        yield Scenario(kind, new_agent=polite)
    for kind in (Kind.HEALTHY, Kind.SICK):
        yield Scenario(kind, outage=(1, 3), eager=True)
        yield Scenario(kind, outage=(3, 5), ailing_base=True)
        yield Scenario(kind, new_agent=rude, counted=False)
        yield Scenario(kind, meddled=True)
        yield from (Scenario(kind, faults=((verb, FOREVER),)) for verb in VERBS)
    yield Scenario(refused=True)
    yield Scenario(other_hash=True)
    yield Scenario(outage=(1, 3), faults=(("regained", FOREVER),))
    yield from (Scenario(cancelled_from=at, eager=True) for at in range(6))
