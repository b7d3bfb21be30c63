"""Every state of an action against every report."""

from __future__ import annotations

import pytest

from flipside_server.action import (
    MOST_STATUSES,
    Action,
    Change,
    Kind,
    Standing,
    State,
    accept,
    accept_cancel,
    cancel,
    current,
    fingerprint,
    retrieve,
    standing,
    worth_keeping,
)
from flipside_server.errors import ActionClosedError, NotCancelableError, OperatorError
from flipside_server.feedback import Execution, Feedback, Finished

OPEN = Action(5, 1, 1)
CANCELING = Action(5, 1, 1, State.CANCELING)
CLOSED = [State.FINISHED, State.ERROR, State.CANCELED]


def said(execution: str, finished: str = "none") -> Feedback:
    return Feedback(Execution(execution), Finished(finished), ("why",))


@pytest.mark.parametrize("before", [OPEN, CANCELING])
@pytest.mark.parametrize(
    ("finished", "state", "kind"),
    [
        ("success", State.FINISHED, Kind.FINISHED),
        ("none", State.FINISHED, Kind.FINISHED),
        ("failure", State.ERROR, Kind.ERROR),
    ],
)
def test_closed_ends_the_action(before: Action, finished: str, state: State, kind: Kind) -> None:
    change = accept(before, said("closed", finished))
    assert (change.action.state, change.kind, change.messages) == (state, kind, ("why",))


@pytest.mark.parametrize("finished", ["success", "none", "failure"])
@pytest.mark.parametrize(
    ("execution", "kind"),
    [
        ("proceeding", Kind.RUNNING),
        ("scheduled", Kind.RUNNING),
        ("resumed", Kind.RUNNING),
        ("download", Kind.DOWNLOAD),
        ("downloaded", Kind.DOWNLOADED),
        ("rejected", Kind.WARNING),
        ("canceled", Kind.CANCELED),
    ],
)
def test_everything_else_is_only_noted(execution: str, kind: Kind, finished: str) -> None:
    assert accept(OPEN, said(execution, finished)) == Change(OPEN, kind, ("why",))


@pytest.mark.parametrize("state", CLOSED)
@pytest.mark.parametrize("execution", list(Execution))
def test_a_closed_action_takes_nothing(state: State, execution: Execution) -> None:
    with pytest.raises(ActionClosedError):
        accept(Action(5, 1, 1, state), said(execution, "success"))


@pytest.mark.parametrize(
    ("execution", "finished", "state", "kind"),
    [
        ("closed", "success", State.CANCELED, Kind.CANCELED),
        ("closed", "none", State.CANCELED, Kind.CANCELED),
        ("closed", "failure", State.OPEN, Kind.ERROR),
        ("rejected", "none", State.OPEN, Kind.CANCEL_REJECTED),
        ("canceled", "success", State.CANCELING, Kind.WARNING),
        ("proceeding", "none", State.CANCELING, Kind.RUNNING),
    ],
)
def test_the_device_answers_a_cancellation(
    execution: str, finished: str, state: State, kind: Kind
) -> None:
    change = accept_cancel(CANCELING, said(execution, finished))
    assert change is not None
    assert (change.action.state, change.kind) == (state, kind)


def test_a_cancellation_may_be_answered_twice() -> None:
    assert accept_cancel(Action(5, 1, 1, State.CANCELED), said("closed", "success")) is None


@pytest.mark.parametrize("state", [State.OPEN, State.FINISHED, State.ERROR])
def test_nobody_asked_to_cancel(state: State) -> None:
    with pytest.raises(NotCancelableError):
        accept_cancel(Action(5, 1, 1, state), said("closed", "success"))


def test_an_operator_cancels_once_and_only_what_is_open() -> None:
    change = cancel(OPEN, "no longer wanted.")
    assert change.action == CANCELING
    assert change.messages == ("Update Server: no longer wanted.",)
    for state in [State.CANCELING, *CLOSED]:
        with pytest.raises(OperatorError):
            cancel(Action(5, 1, 1, state), "again.")


def test_the_first_retrieval_is_noted() -> None:
    change = retrieve(OPEN)
    assert change is not None
    assert change.kind is Kind.RETRIEVED
    assert retrieve(change.action) is None


def test_a_flood_is_cut_but_an_end_is_kept() -> None:
    noise, end = accept(OPEN, said("proceeding")), accept(OPEN, said("closed", "failure"))
    assert worth_keeping(OPEN, noise, MOST_STATUSES - 1)
    assert not worth_keeping(OPEN, noise, MOST_STATUSES)
    assert worth_keeping(OPEN, end, MOST_STATUSES)


def test_the_oldest_open_action_comes_first() -> None:
    actions = [Action(1, 1, 1, State.FINISHED), Action(3, 1, 1), Action(2, 1, 1, State.CANCELING)]
    found = current(actions)
    assert found is not None
    assert found.id == 2
    assert current(actions[:1]) is None


def test_the_fingerprint_follows_the_offer_alone() -> None:
    assert fingerprint(OPEN) == fingerprint(Action(5, 1, 1, retrieved=True))
    assert fingerprint(OPEN) != fingerprint(Action(5, 1, 2))
    assert all(-(2**31) <= fingerprint(Action(key, 1, 1)) < 2**31 for key in range(1, 200))


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], Standing.REGISTERED),
        ([State.CANCELED], Standing.REGISTERED),
        ([State.FINISHED], Standing.IN_SYNC),
        ([State.FINISHED, State.ERROR], Standing.ERROR),
        ([State.ERROR, State.FINISHED, State.CANCELED], Standing.IN_SYNC),
        ([State.FINISHED, State.OPEN], Standing.PENDING),
        ([State.FINISHED, State.CANCELING], Standing.PENDING),
    ],
)
def test_how_a_target_is_doing(states: list[State], expected: Standing) -> None:
    assert standing(Action(key, 1, 1, state) for key, state in enumerate(states)) is expected
