"""Every state of an action against every report."""

from __future__ import annotations

from dataclasses import replace

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
    confirm,
    current,
    fingerprint,
    force_cancel,
    retrieve,
    standing,
    worth_keeping,
)
from flipside_server.errors import (
    ActionClosedError,
    HiddenError,
    NotCancelableError,
    OperatorError,
)
from flipside_server.feedback import Answer, Confirmation, Execution, Feedback, Finished
from flipside_server.terms import Offer, Terms, Urgency

OPEN = Action(5, 1, 1)
CANCELING = Action(5, 1, 1, State.CANCELING)
WAITING = Action(5, 1, 1, State.WAITING)
HELD = Action(5, 1, 1, State.INSTALLED, held_until=90_000)
CLOSED = [State.FINISHED, State.ERROR, State.CANCELED]
ONLY = Action(5, 1, 1, terms=Terms(Urgency.DOWNLOAD_ONLY))


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
    after = replace(OPEN, begun=execution not in ("rejected", "canceled"))
    assert accept(OPEN, said(execution, finished)) == Change(after, kind, ("why",))


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
    begun = replace(OPEN, begun=True)
    noise, end = accept(begun, said("proceeding")), accept(begun, said("closed", "failure"))
    assert worth_keeping(begun, noise, MOST_STATUSES - 1)
    assert not worth_keeping(begun, noise, MOST_STATUSES)
    assert worth_keeping(begun, end, MOST_STATUSES)


def test_the_oldest_open_action_comes_first() -> None:
    actions = [Action(1, 1, 1, State.FINISHED), Action(3, 1, 1), Action(2, 1, 1, State.CANCELING)]
    found = current(actions)
    assert found is not None
    assert found.id == 2
    assert current(actions[:1]) is None


def test_the_fingerprint_follows_the_offer_alone() -> None:
    forced, soft = Offer("forced", "forced"), Offer("attempt", "attempt")
    assert fingerprint(OPEN, forced) == fingerprint(Action(5, 1, 1, retrieved=True), forced)
    assert fingerprint(OPEN, forced) != fingerprint(Action(5, 1, 2), forced)
    assert fingerprint(OPEN, forced) != fingerprint(OPEN, soft)
    assert fingerprint(OPEN, forced) != fingerprint(Action(5, 1, 1, State.WAITING), forced)
    for key in range(1, 200):
        assert -(2**31) <= fingerprint(Action(key, 1, 1), forced) < 2**31


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


@pytest.mark.parametrize("finished", ["success", "none"])
def test_a_success_can_be_held(finished: str) -> None:
    change = accept(OPEN, said("closed", finished), now=30_000, hold=60)
    assert change == Change(HELD, Kind.INSTALLED, ("why",))
    assert not change.action.closed
    assert current([change.action]) is None
    assert standing([change.action]) is Standing.PENDING


def test_a_failure_is_never_held() -> None:
    assert accept(OPEN, said("closed", "failure"), 30_000, 60).action.state is State.ERROR
    assert accept(HELD, said("closed", "failure"), 30_000, 60).action.state is State.ERROR


def test_a_held_success_stays_held_whatever_else_is_said() -> None:
    for execution in ["closed", "rejected", "canceled"]:
        assert accept(HELD, said(execution, "success"), 40_000, 60).action == HELD
    assert accept(HELD, said("proceeding"), 40_000).action.held_until == HELD.held_until


def test_what_is_only_to_be_downloaded_ends_with_that() -> None:
    change = accept(ONLY, said("downloaded"), 0, 60)
    assert (change.action.state, change.kind) == (State.DOWNLOADED, Kind.DOWNLOADED)
    assert change.action.closed
    assert standing([change.action]) is Standing.IN_SYNC
    with pytest.raises(ActionClosedError):
        accept(change.action, said("proceeding"))
    assert accept(change.action, said("closed", "failure")).action.state is State.ERROR
    assert accept(ONLY, said("closed", "success"), 0, 60).action.state is State.FINISHED


def test_what_waits_for_confirmation_takes_no_report() -> None:
    for execution in Execution:
        with pytest.raises(HiddenError):
            accept(WAITING, said(execution, "success"))


def test_denied_waits_on_and_confirmed_opens() -> None:
    denied = confirm(WAITING, Answer(Confirmation.DENIED, ("busy",)))
    assert (denied.action, denied.kind) == (WAITING, Kind.WAITING)
    assert denied.messages[-1] == "busy"
    opened = confirm(WAITING, Answer(Confirmation.CONFIRMED))
    assert (opened.action, opened.kind) == (OPEN, Kind.RUNNING)


def test_only_what_waits_can_be_confirmed() -> None:
    for action in [OPEN, CANCELING, HELD]:
        with pytest.raises(HiddenError):
            confirm(action, Answer(Confirmation.CONFIRMED))
    for state in CLOSED:
        with pytest.raises(ActionClosedError):
            confirm(Action(5, 1, 1, state), Answer(Confirmation.CONFIRMED))


def test_what_is_held_is_canceled_at_once() -> None:
    change = cancel(HELD, "no longer wanted.")
    assert (change.action.state, change.kind) == (State.CANCELED, Kind.CANCELED)


def test_an_operator_need_not_wait_for_a_dead_device() -> None:
    assert force_cancel(CANCELING).action.state is State.CANCELED
    for action in [OPEN, WAITING, HELD, Action(5, 1, 1, State.CANCELED)]:
        with pytest.raises(OperatorError, match="cancel it first"):
            force_cancel(action)
