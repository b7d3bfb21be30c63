"""What a device answers when the server wants an action cancelled."""

from __future__ import annotations

from dataclasses import dataclass

from flipside_agent.states import Checking, Confirming, Idle, Reporting, State, status, under_way
from flipside_agent.update import Finished, Outcome, Verdict


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one wish to cancel."""

    accepted: bool
    reason: str


def answer(state: State, action: str) -> Answer | None:
    """The answer of a device that has heard the wish; None if its report will be the answer."""
    match state:
        case Checking(then) | Confirming(then):
            return answer(then, action)
        case Idle(Finished(update, outcome)) if update.action == action:
            canceled = outcome.verdict is Verdict.CANCELED
            return Answer(canceled, f"it has ended: {outcome.verdict}")
        case Reporting(update, Outcome(Verdict.CANCELED)) if update.action == action:
            return None
    current = under_way(state)
    if current and current.action == action:
        return Answer(False, f"too late, the device is {status(state)}")
    return Answer(True, "it was never begun here")
