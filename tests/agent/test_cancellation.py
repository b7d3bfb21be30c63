"""The answer to the wish to cancel."""

from __future__ import annotations

import pytest

from flipside_agent.cancellation import Answer, answer
from flipside_agent.diagram import FAILURE, SEEN, UPDATE
from flipside_agent.states import Checking, Idle, Installing, Reporting, State
from flipside_agent.update import Finished, Outcome, Verdict

CANCELED = Outcome(Verdict.CANCELED, "cancelled while waiting")


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (Idle(), Answer(True, "it was never begun here")),
        (Installing(UPDATE, SEEN), Answer(False, "too late, the device is installing")),
        (Reporting(UPDATE, FAILURE), Answer(False, "too late, the device is reporting")),
        (Reporting(UPDATE, CANCELED), None),
        (Checking(Reporting(UPDATE, CANCELED)), None),
        (Idle(Finished(UPDATE, CANCELED)), Answer(True, "it has ended: canceled")),
        (Idle(Finished(UPDATE, FAILURE)), Answer(False, "it has ended: failure")),
    ],
)
def test_of_the_action_that_the_device_knows(state: State, expected: Answer | None) -> None:
    assert answer(state, "7") == expected


@pytest.mark.parametrize(
    "state",
    [Idle(Finished(UPDATE, FAILURE)), Installing(UPDATE, SEEN), Reporting(UPDATE, CANCELED)],
)
def test_of_another_action(state: State) -> None:
    assert answer(state, "8") == Answer(True, "it was never begun here")
