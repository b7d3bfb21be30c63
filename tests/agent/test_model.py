"""Every cut: the machine in a world of its own.

A scenario is one life of a device with so many interruptions in it, each at one place where the
power may fail (also in the middle of a write) or the agent may die. The doubles include the
singles, the triples both.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from flipside_agent.boot import Boot
from flipside_agent.events import Event
from flipside_agent.journal import Journal
from flipside_agent.page import Page, unseal
from flipside_agent.pages import Pages
from flipside_agent.runner import Runner
from flipside_agent.states import Reporting, Verifying
from flipside_agent.update import Outcome, Verdict
from models.cuts import Tally, explore
from models.judge import STORIES, VERBS, scenarios
from models.lasting import FACTORY, Lasting
from models.newer import polite, rude
from models.odd_beginnings import Story
from models.power_switch import PowerFailure
from models.rest import at_rest
from models.scenario import FOREVER, Agent, Broken, Kind, Scenario
from models.world import World

OUTAGES = ((1, 4), (2, 5), (3, 6), (4, 7))
"""Three contacts each: before the inspection, before the installation, within it, at the report."""

MIXED = [
    scenario
    for kind in Kind
    for scenario in (
        Scenario(kind, counted=False),
        Scenario(kind, meddled=True),
        Scenario(kind, ailing_base=True),
        Scenario(kind, torn_states=True),
        Scenario(kind, eager=True),
        Scenario(kind, old_agent=polite, new_agent=rude),
    )
]


def play(tried: Tally, scenario: Scenario, depth: int) -> None:
    """Try it and add it up."""
    tally = explore(scenario, depth, at_rest)
    tried.scenarios += tally.scenarios
    tried.runs += tally.runs


@pytest.mark.parametrize("kind", Kind)
def test_every_single_and_double_cut(kind: Kind, tried: Tally) -> None:
    play(tried, Scenario(kind), depth=2)


SAMPLE = (Kind.HEALTHY, Kind.SICK)
"""The kinds of which more is tried each time; of the others, with ``make test-all``."""


@pytest.mark.parametrize(
    "kind",
    [kind if kind in SAMPLE else pytest.param(kind, marks=pytest.mark.slow) for kind in Kind],
)
def test_every_triple_cut(kind: Kind, tried: Tally) -> None:
    play(tried, Scenario(kind), depth=3)


@pytest.mark.parametrize("kind", SAMPLE)
def test_every_single_and_double_cut_with_an_outage_during_the_installation(
    kind: Kind, tried: Tally
) -> None:
    play(tried, Scenario(kind, outage=(2, 5)), depth=2)


@pytest.mark.parametrize("scenario", list(scenarios()), ids=str)
def test_every_single_cut_of_the_rest(scenario: Scenario, tried: Tally) -> None:
    play(tried, scenario, depth=1)


@pytest.mark.slow
@pytest.mark.parametrize("outage", OUTAGES, ids=str)
@pytest.mark.parametrize("kind", Kind)
def test_every_triple_cut_with_an_outage(kind: Kind, outage: tuple[int, int], tried: Tally) -> None:
    play(tried, Scenario(kind, outage=outage), depth=3)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", MIXED, ids=str)
def test_every_triple_cut_of_the_rest(scenario: Scenario, tried: Tally) -> None:
    play(tried, scenario, depth=3)


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 6, FOREVER])
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", Kind)
def test_every_double_cut_with_a_fault(kind: Kind, verb: str, times: int, tried: Tally) -> None:
    play(tried, Scenario(kind, faults=((verb, times),)), depth=2)


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_a_story(story: Story) -> None:
    story()


@pytest.mark.slow
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("age", ["newer on trial", "newer and rude on trial", "newer in the base"])
def test_every_triple_cut_with_agents_of_two_ages(kind: Kind, age: str, tried: Tally) -> None:
    play(tried, two_ages(kind, age), depth=3)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("age", ["newer and rude on trial", "newer in the base"])
def test_every_single_cut_with_agents_of_two_ages(kind: Kind, age: str, tried: Tally) -> None:
    play(tried, two_ages(kind, age), depth=1)


def two_ages(kind: Kind, age: str) -> Scenario:
    match age:
        case "newer on trial":
            return Scenario(kind, new_agent=polite)
        case "newer and rude on trial":
            return Scenario(kind, new_agent=rude)
        case _:
            return Scenario(kind, old_agent=polite)


def test_a_newer_agent_keeps_to_the_older_format_until_its_trial_is_over() -> None:
    """Until the update is done, every page can be read by whoever began it."""
    world = World(Scenario(new_agent=polite), FACTORY)
    world.run()
    pages = [page for cut in world.power.cuts if (page := _newest(cut.left))]
    later = [page for page in pages if page.format != 1]
    assert {json.loads(page.payload)["state"] for page in later} == {"idle"}
    assert len(pages) > len(later) > 0


TRIES = 3
"""Tries of a trial, each of which ends in the state that only the newer agent knows."""


@pytest.mark.parametrize(
    ("agent", "written", "reason"),
    [
        (polite, "verifying", "slot B went down while it was verified; the boot loader fell back"),
        (rude, "soaking", "slot B was left while its agent was soaking"),
    ],
    ids=["polite", "rude"],
)
def test_a_newer_agents_failed_trial_is_told_by_the_older_one(
    agent: Callable[[Pages, Boot], Agent], written: str, reason: str
) -> None:
    scenario, left = Scenario(new_agent=agent), FACTORY
    for _ in range(TRIES):
        world = World(scenario, left)
        world.run()
        left = [cut.left for cut in world.power.cuts if _says(cut.left, written)][-1]
    world = World(scenario, left)
    world.run()
    assert [told.verdict for told in world.now.verdicts] == [Verdict.FAILURE]
    assert world.now.verdicts[0].reason.startswith(reason)
    assert world.power.here.slot == "A"


def _newest(left: Lasting) -> Page | None:
    pages = [page for page in map(unseal, left.pages) if page]
    return max(pages, key=lambda page: page.serial, default=None)


def _says(left: Lasting, name: str) -> bool:
    page = _newest(left)
    return page is not None and json.loads(page.payload)["state"] == name


def test_the_shortcut_changes_nothing() -> None:
    """Each of all double cuts, one by one, is as many as are counted."""
    scenario = Scenario(Kind.SICK)
    first = World(scenario, FACTORY)
    first.run()
    seconds = []
    for cut in first.power.cuts:
        second = World(scenario, cut.left, cut.running)
        second.run()
        at_rest(second, 1)
        seconds.append(len(second.power.cuts))
    one_by_one = 1 + len(first.power.cuts) + sum(seconds)
    assert explore(scenario, 2, at_rest).scenarios == one_by_one


def test_what_is_said_to_be_left_is_left() -> None:
    """Let the power fail for real: nothing that is cleaned up afterwards reaches the disk."""
    told = World(Scenario(), FACTORY)
    told.run()
    for number, cut in enumerate(told.power.cuts):
        world = World(Scenario(), FACTORY)
        world.power.fails_at = number
        with pytest.raises(PowerFailure):
            world.run()
        last = len(told.power.cuts)
        assert world.now.key(None, last) == cut.left.key(None, last)


def test_a_world_notices_what_must_never_be() -> None:
    """The invariants can fail: an agent that reports before it commits is found out."""

    class Hasty(Runner):
        def take(self, event: Event) -> None:
            super().take(event)
            if isinstance(self.state, Verifying):
                outcome = Outcome(Verdict.SUCCESS, "it will be fine")
                self.state = Reporting(self.state.update, outcome)

    scenario = Scenario(new_agent=lambda pages, boot: Hasty(Journal(pages), boot))
    with pytest.raises(Broken, match="slot B is not a confirmed new one"):
        explore(scenario, 0, at_rest)
