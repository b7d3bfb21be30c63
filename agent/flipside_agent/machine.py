"""The whole life of an update: what the device owes, and what follows.

Rule 1: everything that decides what happens to an update is here and in
:mod:`flipside_agent.setbacks`. Nothing in either touches the world: states, events and commands are
values, and the functions are pure.

Theory
------
A state owes at most **one** thing; :func:`pending` says which. The runner writes the state to the
journal, pays, and hands what came of it to :func:`step`. Power may fail anywhere in between: the
next life loads the state, is told which slot came up, and owes the same thing or the next one. So
every command may be carried out twice, and there is no recovery code besides
:func:`~flipside_agent.setbacks.booted`.

A state that owed two things would lose the second to a cut. Where two things have to be done there
are two states: *activating* is on the disk before the boot loader is told, *committing* before the
slot is confirmed, *reporting* before the server hears of it.

A slot that was confirmed once is confirmed anew on every boot that the scheme counts, also in the
middle of an update: three impatient power cycles during a long installation must not cost the
running slot its place. That debt comes first, as *checking* and *confirming*; what was under way
is kept inside them and goes on afterwards, whatever the check says. Its verdict never rolls
anything back: the slot has been good, and there may be nothing better to go back to.

Traps
-----
* The server may ask for anything at any time. What comes too late or twice is no error: the state
  stays as it is, and the caller sees that it did.
* Anything else that does not fit the state is a bug of ours: ``IllegalEvent``, and nothing changes.
* An action that was done before is told again, never done again: the answer to its report may have
  been lost, and the server still offers it.
* The hash that the server named is compared before anything is written. RAUC cannot do it for us:
  it checks who signed a bundle, not which of all signed bundles this is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from flipside_agent.commands import (
    Activate,
    AwaitNetwork,
    CheckHealth,
    Command,
    Examine,
    Inspect,
    Install,
    MarkBad,
    MarkGood,
    Reboot,
    Report,
)
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
from flipside_agent.setbacks import IllegalEvent, booted, failed, restarted
from flipside_agent.states import (
    Abandoning,
    Activating,
    Checking,
    Committing,
    Confirming,
    Doubting,
    Idle,
    Installing,
    Ordinary,
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
from flipside_agent.update import NO_BUNDLE, Finished, Inspection, Outcome, Update, Verdict


def pending(state: State) -> Command | None:
    """The one thing that the device still owes; None if it owes nothing."""
    match state:
        case Idle():
            return None
        case Preparing(update):
            return Inspect(update.bundle)
        case Waiting(update):
            return AwaitNetwork(update.spent)
        case Installing(update, inspection):
            return Install(update.bundle, inspection, update.target)
        case Doubting(update):
            return Examine(update.target)
        case Activating(update):
            return Activate(update.target)
        case Rebooting(update):
            return Reboot(f"to try slot {update.target}")
        case Verifying() | Checking():
            return CheckHealth()
        case Committing() | Confirming():
            return MarkGood()
        case RollingBack(update) | Abandoning(update):
            return MarkBad(update.target)
        case Returning(update):
            return Reboot(f"to go back to slot {update.base}")
        case Reporting(update, outcome):
            return Report(update, outcome)
    assert_never(state)


def step(state: State, event: Event) -> State:
    """What follows when this happens in that state."""
    match event:
        case Offered() | CancelRequested():
            return _asked(state, event)
        case Booted(boot):
            return booted(state, boot)
        case Restarted():
            return restarted(state)
        case Failed():
            return failed(state, event)
        case _:
            return _paid(state, event)


def _paid(state: State, event: Event) -> State:  # noqa: PLR0912 - a table, one arm a row
    """What was owed has been done: the way of an update, from the first look to the report."""
    match state, event:
        case Preparing(update), Inspected(inspection):
            return _inspected(update, inspection)
        case Waiting(update, None), NetworkReturned():
            return Preparing(update)
        case Waiting(update, Inspection() as inspection), NetworkReturned():
            return Installing(update, inspection)
        case Installing(update), Installed():
            return Activating(update.rested())
        case Doubting(update, inspection), Examined():
            return _examined(update, inspection, event)
        case Activating(update), Activated():
            return Rebooting(update.rested())
        case Verifying(update), Healthy():
            return Committing(update.rested())
        case Verifying(update), Unhealthy(check, reason):
            return RollingBack(update.rested(), Outcome(Verdict.FAILURE, reason, check))
        case Committing(update), MarkedGood():
            return Reporting(update, _landed(update))
        case RollingBack(update, outcome), MarkedBad():
            return Returning(update, outcome)
        case Abandoning(update, outcome), MarkedBad():
            return Reporting(update, outcome)
        case Reporting(update, outcome), Reported():
            return Idle(Finished(update, outcome))
        case Checking(then), Healthy():
            return Confirming(then)
        case Checking(Idle()), Unhealthy():
            return state  # still owed: the device looks again later
        case Checking(then), Unhealthy():
            return then
        case Confirming(then), MarkedGood():
            return then
    raise IllegalEvent(state, event)


def _asked(state: State, event: Offered | CancelRequested) -> State:
    """The server wants something; if the state stays as it is, it does not get it now."""
    match state:
        case Idle() | Preparing() | Waiting():
            return _granted(state, event)
        case Checking(then) | Confirming(then):
            return replace(state, then=_granted(then, event))
        case _:
            return state


def _granted(state: Ordinary, event: Offered | CancelRequested) -> Ordinary:
    match state, event:
        case Idle(Finished(update, outcome)), Offered(offer) if update.action == offer.action:
            return Reporting(update, outcome)
        case Idle(), Offered():
            return _accepted(event)
        case ((Preparing(update) | Waiting(update)), CancelRequested(action)) if (
            action == update.action
        ):
            return Reporting(update, Outcome(Verdict.CANCELED, f"cancelled while {status(state)}"))
        case _:
            return state


def _accepted(event: Offered) -> Preparing | Reporting:
    offer = event.offer
    update = Update(offer.action, offer.bundle, event.booted, event.other, event.running)
    if flaw := offer.bundle.flaw():
        return Reporting(replace(update, bundle=NO_BUNDLE), Outcome(Verdict.FAILURE, flaw))
    return Preparing(update)


def _inspected(update: Update, inspection: Inspection) -> Installing | Reporting:
    wanted = update.bundle.manifest_hash
    if wanted in ("", inspection.manifest_hash):
        return Installing(update, inspection)
    reason = f"the bundle's manifest hash is {inspection.manifest_hash}, expected {wanted}"
    return Reporting(update, Outcome(Verdict.FAILURE, reason))


def _examined(update: Update, inspection: Inspection, seen: Examined) -> Verifying | RollingBack:
    if seen.complete and seen.manifest_hash == inspection.manifest_hash:
        return Verifying(update.rested())
    reason = f"slot {update.target} came up before it was completely written"
    return RollingBack(update.rested(), Outcome(Verdict.FAILURE, reason))


def _landed(update: Update) -> Outcome:
    return Outcome(Verdict.SUCCESS, f"slot {update.target} is healthy and confirmed")
