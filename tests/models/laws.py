"""What can happen in which state, said once more and by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from flipside_agent.diagram import BUNDLE, FAILURE, STATES, UPDATE, WAY, follows
from flipside_agent.errors import Blame
from flipside_agent.events import CancelRequested, Failed, Offered, Restarted
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
)
from flipside_agent.update import NO_BUNDLE, Finished, Offer, Outcome, Verdict
from models.scenario import Broken

WISHES: Final = {"Offered", "Offered (flawed)", "CancelRequested"}
TROUBLE: Final = {"outage", "fault"}

POSSIBLE: Final[dict[type[State], set[str]]] = {
    Idle: set(),
    Preparing: TROUBLE | {"Inspected", "Inspected (other hash)"},
    Waiting: TROUBLE | {"NetworkReturned"},
    Installing: TROUBLE | {"Installed"},
    Doubting: TROUBLE | {"Examined (complete)", "Examined (incomplete)"},
    Activating: TROUBLE | {"Activated"},
    Rebooting: TROUBLE,
    Verifying: TROUBLE | {"Healthy", "Unhealthy"},
    Committing: TROUBLE | {"MarkedGood"},
    RollingBack: TROUBLE | {"MarkedBad"},
    Returning: TROUBLE,
    Abandoning: TROUBLE | {"MarkedBad"},
    Reporting: TROUBLE | {"Reported"},
    Checking: TROUBLE | {"Healthy", "Unhealthy"},
    Confirming: TROUBLE | {"MarkedGood"},
}
"""What may happen besides the wishes of the server, which may come at any time."""

TROUBLED: Final[dict[type[State], dict[str, type[State]]]] = {
    Preparing: {"outage": Waiting},
    Installing: {"outage": Waiting},
    RollingBack: {"outage": Returning, "fault": Returning},
}
"""Where a first trouble leads elsewhere than back to the same debt."""


def lawful() -> None:
    """Whatever cannot happen is refused, and the rest leads where it should."""
    for state in STATES:
        after = {name: follows(state, event) for name, event in WAY}
        possible = {name for name, follow in after.items() if follow is not None}
        if possible != WISHES | POSSIBLE[type(state)]:
            raise Broken(f"{type(state).__name__} takes {possible}")
        for name in TROUBLE & possible:
            expected = TROUBLED.get(type(state), {}).get(name, type(state))
            if type(after[name]) is not expected:
                raise Broken(f"{type(state).__name__} after {name}: {after[name]}")


def unmoved() -> None:
    """Wishes that concern another action, or come too late, change nothing."""
    other = Offered(Offer("8", BUNDLE), booted="A", other="B")
    for state in STATES:
        if follows(state, CancelRequested("8")) != state:
            raise Broken(f"{state} is cancelled by another action's cancellation")
        idle = isinstance(state, Idle) or state == Checking(Idle())
        if (follows(state, other) == state) is idle:
            raise Broken(f"{state} and another offer: {follows(state, other)}")


def accepted() -> None:
    """A new action after an old one is begun; one that cannot be written down is refused."""
    done = Idle(Finished(UPDATE, FAILURE))
    fresh = replace(UPDATE, action="8", replaces="1")
    offered = Offered(Offer("8", BUNDLE), booted="A", other="B", running="1")
    if follows(done, offered) != Preparing(fresh):
        raise Broken("a new action is not begun")
    hostile = replace(BUNDLE, url="http://server/" + "x" * 5000)
    after = follows(done, Offered(Offer("8", hostile), booted="A", other="B"))
    if not isinstance(after, Reporting) or after.update.bundle != NO_BUNDLE:
        raise Broken(f"a hostile offer leads to {after}")


def during_a_boot() -> None:
    """A wish that comes while a boot is confirmed is granted to what was under way."""
    offer, cancel = Offered(Offer("7", BUNDLE), booted="A", other="B"), CancelRequested("7")
    canceled = Reporting(UPDATE, Outcome(Verdict.CANCELED, "cancelled while waiting"))
    for wrapped in (Checking, Confirming):
        if follows(wrapped(Idle()), offer) != wrapped(Preparing(UPDATE)):
            raise Broken(f"an offer is lost while {wrapped.__name__}")
        if follows(wrapped(Waiting(UPDATE)), cancel) != wrapped(canceled):
            raise Broken(f"a cancellation is lost while {wrapped.__name__}")


def patient() -> None:
    """Who only waits, or must never give up, does not lose patience."""
    restarted, failed = Restarted(), Failed("no route", Blame.NETWORK)
    for state in STATES:
        waits = isinstance(state, Idle | Waiting | Returning | Reporting)
        if (follows(state, restarted) == state) is not waits:
            raise Broken(f"{state} and a new agent: {follows(state, restarted)}")
        owes = isinstance(state, Returning | Reporting)
        if (follows(state, failed) == state) is not owes:
            raise Broken(f"{state} and an outage: {follows(state, failed)}")


LAWS: Final = {law.__name__: law for law in (lawful, unmoved, accepted, during_a_boot, patient)}
