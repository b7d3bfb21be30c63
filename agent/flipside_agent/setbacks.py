"""What follows when something comes in between: a new boot, a restarted agent, a failure.

Every loop ends
---------------
An update carries its patience. It spends some on each interruption and outage, and more on a
failure that is less likely to pass (``COST``); it gets all of it back only on a new stretch of the
way, and the stretches never go backwards: write, activate, reboot, verify, commit, go back, report.
When the patience is at an end, :func:`_give_up` says what becomes of the update.

Two debts are without end, because to drop them would be worse, and neither writes to a slot:
*reporting* (a result is never forgotten), and *returning* while the reboot is refused (nothing may
be installed over the base while a slot that was given up still runs). The service paces them.

Traps
-----
* Booted from the target while *installing*: nobody of ours activated it. If it came up as a trial,
  only RAUC's word that it is complete, with the hash that was inspected, lets it be tried. If it
  came up confirmed, it was not touched: RAUC takes the confirmation before it writes a byte.
* Booted from the base while *activating*: either the loader was not told, or it was told and fell
  back before anybody could write that down. Activating once more is right for both; the second
  fallback finds *rebooting*.
* The target cannot be marked bad while it runs: the device returns all the same. The reboot takes
  one attempt from a trial; if the target comes up again, so does the debt, at a high price; and a
  base that comes up marks the target bad in any case.
* A trial that was begun by hand, without the agent, is verified like one of ours; otherwise an
  offer could be installed over the only good slot while a sick one runs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, TypeAlias, assert_never

from flipside_agent.boot import Boot
from flipside_agent.errors import Blame
from flipside_agent.events import Event, Failed
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

PATIENCE: Final = 40
"""Interruptions that one stretch of the way survives. A bad network may break a long installation
many times, and each attempt goes on from the spool; a device that is switched off every day in the
middle of it has more than a month."""

INTERRUPTION: Final = 1
FINAL: Final = PATIENCE + INTERRUPTION
COST: Final = {
    Blame.NETWORK: 1,
    Blame.SERVER: 4,
    Blame.DEVICE: 8,
    Blame.UPDATE: FINAL,
    Blame.OPERATOR: FINAL,
}
"""What a failure costs: outages pass, a server's error may, a device's seldom does, and a bad
update or a wrong configuration never."""

OUTAGES: Final = (Blame.NETWORK, Blame.SERVER)

Forward: TypeAlias = Preparing | Waiting | Installing | Activating | Rebooting
Trial: TypeAlias = Doubting | Verifying | Committing
Backward: TypeAlias = RollingBack | Returning | Abandoning
Updating: TypeAlias = Forward | Trial | Backward


class IllegalEvent(Exception):
    """An event that cannot happen in this state: a bug of ours, in no family and never caught."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"{event} in {state}")


def booted(state: State, boot: Boot) -> State:
    """The device came up anew. This is all there is of recovery."""
    match state:
        case Checking(then) | Confirming(then):
            return booted(then, boot)
        case Idle() if boot.trial:
            follows: State = Verifying(_begun_by_hand(boot))
        case Idle(Finished() as last):
            follows = Idle(_kept(last, boot))
        case Idle():
            follows = state
        case Reporting(update, outcome):
            kept = _kept(Finished(update, outcome), boot)
            follows = Reporting(kept.update, kept.outcome)
        case _ if boot.slot == state.update.target:
            follows = _up_from_target(state, boot)
        case _:
            follows = _up_from_base(state, boot)
    if boot.counted and isinstance(follows, Ordinary):
        return Checking(follows)
    return follows


def _up_from_target(state: Updating, boot: Boot) -> State:
    match state:
        case Waiting(update, Inspection() as seen) | Installing(update, seen) if boot.trial:
            return Doubting(update, seen)
        case Preparing(update) | Waiting(update) | Installing(update):
            return Reporting(update, _left(update.base, "before the other one was written"))
        case Activating(update) | Rebooting(update):
            return Verifying(update.rested())
        case Doubting() | Verifying() | Committing():
            return _again(state, INTERRUPTION, _too_often("the device went down", state))
        case RollingBack(update, outcome) | Returning(update, outcome):
            return _again(state, COST[Blame.DEVICE], "", into=RollingBack(update, outcome))
        case Abandoning(update, outcome):
            return _again(state, INTERRUPTION, "", into=RollingBack(update, outcome))
    assert_never(state)


def _up_from_base(state: Updating, boot: Boot) -> State:
    match state:
        case Waiting():
            return state
        case Preparing() | Installing() | Activating() | Abandoning():
            return _again(state, INTERRUPTION, _too_often("the device went down", state))
        case Rebooting(update):
            return _fallen_back(update, "before its agent took over")
        case Doubting(update) | Verifying(update):
            return _fallen_back(update, "while it was verified")
        case Committing(update):
            return _fallen_back(update, "before it was confirmed")
        case RollingBack(update, outcome) | Returning(update, outcome):
            return Abandoning(update, outcome)
    assert_never(state)


def restarted(state: State) -> State:
    """The agent came up anew within one boot."""
    match state:
        case Idle() | Waiting() | Returning() | Reporting():
            return state
        case RollingBack(update, outcome):
            return Returning(update, outcome)
        case _:
            return _again(state, INTERRUPTION, _too_often("the agent died", state))


def failed(state: State, event: Failed) -> State:
    """What was owed could not be done."""
    cost = COST[event.blame]
    match state:
        case Idle():
            raise IllegalEvent(state, event)
        case Returning() | Reporting():
            return state
        case RollingBack(update, outcome):
            return Returning(update, outcome)
        case Preparing(update) if event.blame in OUTAGES:
            return _again(state, cost, event.reason, into=Waiting(update))
        case Installing(update, inspection) if event.blame in OUTAGES:
            return _again(state, cost, event.reason, into=Waiting(update, inspection))
        case _:
            return _again(state, cost, event.reason)


def _again(
    state: Updating | Checking | Confirming, cost: int, reason: str, into: Updating | None = None
) -> State:
    """The same debt once more, or ``into``, which leads back to it; while the patience lasts."""
    match state:
        case Checking(then, spent) | Confirming(then, spent):
            return replace(state, spent=spent + cost) if spent + cost <= PATIENCE else then
    update = state.update.spend(cost)
    if update.spent > PATIENCE:
        return _give_up(state, reason)
    return replace(into or state, update=update)


def _give_up(state: Updating, reason: str) -> State:
    """The patience is at an end: what becomes of the update."""
    failure = Outcome(Verdict.FAILURE, reason)
    match state:
        case Preparing(update) | Waiting(update) | Installing(update):
            return Reporting(update, failure)
        case Activating(update) | Rebooting(update):
            return Abandoning(update.rested(), failure)
        case Doubting(update) | Verifying(update) | Committing(update):
            return RollingBack(update.rested(), failure)
        case RollingBack(update, outcome) | Returning(update, outcome):
            return Reporting(update, _stuck(update, outcome))
        case Abandoning(update, outcome):
            return Reporting(update, outcome)
    assert_never(state)


def _kept(last: Finished, boot: Boot) -> Finished:
    """A success is told only while its slot runs."""
    update, outcome = last.update, last.outcome
    if outcome.verdict is not Verdict.SUCCESS or boot.slot == update.target:
        return last
    return Finished(update, _left(update.target, "after it had been confirmed"))


def _begun_by_hand(boot: Boot) -> Update:
    return Update("", NO_BUNDLE, base=boot.other, target=boot.slot)


def _fallen_back(update: Update, when: str) -> Abandoning:
    reason = f"slot {update.target} went down {when}; the boot loader fell back to {update.base}"
    return Abandoning(update.rested(), Outcome(Verdict.FAILURE, reason))


def _left(slot: str, when: str) -> Outcome:
    return Outcome(Verdict.FAILURE, f"the device left slot {slot} {when}")


def _stuck(update: Update, outcome: Outcome) -> Outcome:
    reason = f"{outcome.reason}; the device could not leave slot {update.target}"
    return replace(outcome, reason=reason)


def _too_often(what: str, state: State) -> str:
    return f"{what} too often while {status(state)}"
