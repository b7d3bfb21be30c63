"""The machine as a table: its way, its theorem, and what a user sees of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from flipside_agent.boot import Boot
from flipside_agent.commands import CheckHealth, Install, MarkGood
from flipside_agent.diagram import BUNDLE, FAILURE, FROM_BASE, HASH, SEEN, STATES, UPDATE, WAY
from flipside_agent.errors import Blame
from flipside_agent.events import (
    Activated,
    Booted,
    Event,
    Failed,
    Healthy,
    Inspected,
    Installed,
    MarkedBad,
    MarkedGood,
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
    Status,
    Verifying,
    Waiting,
    sentence,
    status,
)
from flipside_agent.update import Offer, Verdict

OFFERED = Offered(Offer("7", BUNDLE), booted="A", other="B")
TRIAL = Booted(Boot("2", "B", "A", trial=True, counted=True))
BASE = Booted(Boot("3", "A", "B", trial=False, counted=True))


def life(state: State, *events: Event) -> list[State]:
    """The states that these events lead through."""
    states = [state]
    for event in events:
        states.append(step(states[-1], event))
    return states


def names(states: list[State]) -> list[str]:
    return [type(state).__name__ for state in states]


def test_a_good_update_lands_and_is_reported_last() -> None:
    states = life(
        Idle(),
        OFFERED,
        Inspected(SEEN),
        Installed(),
        Activated(),
        TRIAL,
        Healthy(),
        MarkedGood(),
        Reported(),
    )
    assert names(states) == [
        "Idle",
        "Preparing",
        "Installing",
        "Activating",
        "Rebooting",
        "Verifying",
        "Committing",
        "Reporting",
        "Idle",
    ]
    assert isinstance(states[-1], Idle)
    assert states[-1].last is not None
    assert states[-1].last.outcome.verdict is Verdict.SUCCESS


def test_a_sick_update_goes_back_and_says_which_check_failed() -> None:
    states = life(
        Verifying(UPDATE),
        Unhealthy("disk", "it is full"),
        MarkedBad(),
        BASE,
        Healthy(),
        MarkedGood(),
    )
    assert names(states) == [
        "Verifying",
        "RollingBack",
        "Returning",
        "Checking",
        "Confirming",
        "Abandoning",
    ]
    assert isinstance(states[-1], Abandoning)
    assert (states[-1].outcome.check, states[-1].outcome.reason) == ("disk", "it is full")


def test_an_update_that_never_came_up_is_given_up_by_its_base() -> None:
    after = step(Rebooting(UPDATE), FROM_BASE)
    assert isinstance(after, Abandoning)
    assert after.outcome.reason == (
        "slot B went down before its agent took over; the boot loader fell back to A"
    )


def test_what_is_installed_is_what_was_inspected() -> None:
    assert pending(Installing(UPDATE, SEEN)) == Install(BUNDLE, SEEN, "B")


def test_another_bundle_than_the_wanted_one_is_refused_before_anything_is_written() -> None:
    after = step(Preparing(UPDATE), Inspected(replace(SEEN, manifest_hash="6" * 64)))
    assert isinstance(after, Reporting)
    assert after.outcome.reason == (f"the bundle's manifest hash is {'6' * 64}, expected {HASH}")


def test_a_server_that_names_no_hash_gets_what_was_inspected() -> None:
    update = replace(UPDATE, bundle=replace(BUNDLE, manifest_hash=""))
    assert step(Preparing(update), Inspected(SEEN)) == Installing(update, SEEN)


def test_an_ordinary_boot_is_confirmed_first_and_the_update_goes_on() -> None:
    checking, confirming, under_way = life(Installing(UPDATE, SEEN), BASE, Healthy(), MarkedGood())[
        1:
    ]
    assert isinstance(checking, Checking)
    assert isinstance(confirming, Confirming)
    assert (pending(checking), pending(confirming)) == (CheckHealth(), MarkGood())
    assert under_way == Installing(UPDATE.spend(1), SEEN)


def test_a_sick_base_still_takes_its_cure() -> None:
    after = life(Checking(Idle()), Unhealthy("disk", "full"), OFFERED, Unhealthy("disk", "full"))[
        -1
    ]
    assert after == Preparing(UPDATE)


def test_what_cannot_happen_raises_and_changes_nothing() -> None:
    state = Preparing(UPDATE)
    with pytest.raises(IllegalEvent, match=r"^Installed\(\) in Preparing\("):
        step(state, Installed())
    assert state == Preparing(UPDATE)


STRETCHES: dict[type[State], tuple[int, int]] = {
    Waiting: (0, 0),
    Preparing: (0, 1),
    Installing: (0, 2),
    Doubting: (0, 3),
    Activating: (1, 0),
    Rebooting: (2, 0),
    Verifying: (3, 0),
    Committing: (4, 0),
    RollingBack: (5, 0),
    Returning: (5, 1),
    Abandoning: (5, 2),
    Reporting: (6, 0),
}
"""The stretch of the way on which a state lies, and where on it."""

UNPAID = (Waiting, Returning, Reporting, Idle)
"""States in which a setback costs nothing, because nothing is written and nobody reboots."""


def rank(state: State) -> tuple[int, int, int]:
    """How far an update has come: stretch of the way, patience spent, place on the stretch."""
    assert not isinstance(state, Idle | Checking | Confirming)
    stretch, place = STRETCHES[type(state)]
    return stretch, state.update.spent, place


def under_way() -> Iterator[State]:
    """Every state of an update, with much and with little patience left."""
    for state in STATES:
        if not isinstance(state, Idle | Checking | Confirming):
            for spent in (0, 1, PATIENCE // 2, PATIENCE - 1, PATIENCE):
                yield replace(state, update=UPDATE.spend(spent))


def happenings() -> list[Event]:
    """Everything that can happen, to anybody."""
    boots = [
        Booted(Boot("2", slot, other, trial, counted=False))
        for slot, other in (("A", "B"), ("B", "A"))
        for trial in (True, False)
    ]
    failures = [Failed("it failed", blame) for blame in Blame]
    return [*boots, *failures, Restarted(), *(event for _, event in WAY)]


@pytest.mark.parametrize("state", list(under_way()), ids=lambda state: f"{type(state).__name__}")
def test_every_step_leads_on_or_costs_patience(state: State) -> None:
    """So no update takes more than so many steps, whatever happens."""
    for event in happenings():
        try:
            after = step(state, event)
        except IllegalEvent:
            continue
        if isinstance(after, Idle) or (after == state and _free(state, event)):
            continue
        assert rank(after) > rank(state), f"{event} leads from {state} to {after}"


def _free(state: State, event: Event) -> bool:
    wishes = isinstance(event, Offered) or type(event).__name__ == "CancelRequested"
    return wishes or isinstance(state, UNPAID)


SEEN_BY_USERS = {
    Idle: Status.IDLE,
    Preparing: Status.PREPARING,
    Waiting: Status.WAITING,
    Installing: Status.INSTALLING,
    Doubting: Status.VERIFYING,
    Activating: Status.INSTALLING,
    Rebooting: Status.REBOOTING,
    Verifying: Status.VERIFYING,
    Committing: Status.COMMITTING,
    RollingBack: Status.ROLLING_BACK,
    Returning: Status.ROLLING_BACK,
    Abandoning: Status.ROLLING_BACK,
    Reporting: Status.REPORTING,
    Checking: Status.VERIFYING,
    Confirming: Status.COMMITTING,
}


def test_every_state_has_a_word_that_a_user_understands() -> None:
    assert {type(state): status(state) for state in STATES} == SEEN_BY_USERS


def test_a_state_as_a_person_would_say_it() -> None:
    assert sentence(Idle()) == "idle"
    assert sentence(Checking(Idle())) == "verifying"
    assert sentence(Installing(UPDATE, SEEN)) == "installing: 2 in slot B"
    by_hand = replace(UPDATE, bundle=replace(BUNDLE, version=""))
    assert sentence(Returning(by_hand, FAILURE)) == "rolling back: a trial in slot B"
