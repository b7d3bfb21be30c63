"""An action: one distribution set on its way to one target, from assignment to its end.

Pure: a function gets the action and what happened, and gives back what follows.
The history (``Status``) is kept apart, so that a report costs the same however long it grew.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from flipside_server.errors import ActionClosedError, NotCancelableError, OperatorError
from flipside_server.feedback import Execution, Feedback, Finished

MOST_STATUSES = 1000
"""Entries kept of one action, as in hawkBit; what changes its state is kept in any case."""


class State(StrEnum):
    """Where an action stands."""

    OPEN = "open"
    CANCELING = "canceling"
    FINISHED = "finished"
    ERROR = "error"
    CANCELED = "canceled"


class Kind(StrEnum):
    """What one entry of the history says, in hawkBit's words."""

    RUNNING = "running"
    RETRIEVED = "retrieved"
    DOWNLOAD = "download"
    DOWNLOADED = "downloaded"
    WARNING = "warning"
    FINISHED = "finished"
    ERROR = "error"
    CANCELING = "canceling"
    CANCELED = "canceled"
    CANCEL_REJECTED = "cancel_rejected"


class Standing(StrEnum):
    """How a target is doing, in hawkBit's words for ``updateStatus``."""

    REGISTERED = "registered"
    PENDING = "pending"
    IN_SYNC = "in_sync"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Action:
    """One assignment."""

    id: int
    """1 to 2^31-1: SWUpdate reads it into a C int."""
    target: int
    distribution_set: int
    state: State = State.OPEN
    created: int = 0
    """Milliseconds since 1970."""
    retrieved: bool = False
    """The device has read the deployment."""

    @property
    def closed(self) -> bool:
        """Nothing more happens to it."""
        return self.state in (State.FINISHED, State.ERROR, State.CANCELED)


@dataclass(frozen=True, slots=True)
class Status:
    """One entry of an action's history."""

    id: int
    action: int
    kind: Kind
    reported: int
    """Milliseconds since 1970, by the server's clock."""
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What follows for an action: its new state, and the entry that tells of it."""

    action: Action
    kind: Kind
    messages: tuple[str, ...] = ()


def accept(action: Action, feedback: Feedback) -> Change:
    """What the device's report about the deployment makes of the action."""
    if action.closed:
        raise ActionClosedError(f"action {action.id} is closed")
    match feedback.execution:
        case Execution.CLOSED:
            return _closed(action, feedback)
        case Execution.PROCEEDING | Execution.SCHEDULED | Execution.RESUMED:
            return Change(action, Kind.RUNNING, feedback.messages)
        case Execution.DOWNLOAD:
            return Change(action, Kind.DOWNLOAD, feedback.messages)
        case Execution.DOWNLOADED:
            return Change(action, Kind.DOWNLOADED, feedback.messages)
        case Execution.REJECTED:
            return Change(action, Kind.WARNING, feedback.messages)
        case Execution.CANCELED:
            # hawkBit notes it; only the cancelAction resource ends an action as canceled.
            return Change(action, Kind.CANCELED, feedback.messages)
        case never:
            assert_never(never)


def _closed(action: Action, feedback: Feedback) -> Change:
    if feedback.finished is Finished.FAILURE:
        return Change(replace(action, state=State.ERROR), Kind.ERROR, feedback.messages)
    return Change(replace(action, state=State.FINISHED), Kind.FINISHED, feedback.messages)


def accept_cancel(action: Action, feedback: Feedback) -> Change | None:
    """What the device's answer to a cancellation makes of the action; None if it repeats itself."""
    if action.state is State.CANCELED:
        return None
    if action.state is not State.CANCELING:
        raise NotCancelableError(f"nobody asked to cancel action {action.id}")
    resumed = replace(action, state=State.OPEN)
    match feedback.execution, feedback.finished:
        case Execution.CLOSED, Finished.FAILURE:
            return Change(resumed, Kind.ERROR, feedback.messages)
        case Execution.CLOSED, _:
            canceled = replace(action, state=State.CANCELED)
            return Change(canceled, Kind.CANCELED, feedback.messages)
        case Execution.REJECTED, _:
            return Change(resumed, Kind.CANCEL_REJECTED, feedback.messages)
        case Execution.CANCELED, _:
            # Not a confirmation in hawkBit either (its issue 952): the device must close.
            return Change(action, Kind.WARNING, feedback.messages)
        case _:
            return Change(action, Kind.RUNNING, feedback.messages)


def retrieve(action: Action) -> Change | None:
    """What follows when the device reads the deployment; None after the first time."""
    if action.retrieved:
        return None
    message = "Update Server: the device has read the deployment."
    return Change(replace(action, retrieved=True), Kind.RETRIEVED, (message,))


def status(key: int, change: Change, now: int) -> Status:
    """The entry of the history that tells of the change."""
    return Status(key, change.action.id, change.kind, now, change.messages)


def cancel(action: Action, reason: str) -> Change:
    """What follows when an operator takes the action back: the device is asked to stop."""
    if action.closed:
        raise OperatorError(f"action {action.id} is already {action.state}; nothing to cancel")
    if action.state is State.CANCELING:
        raise OperatorError(f"action {action.id} is being canceled; the device has yet to answer")
    message = f"Update Server: {reason}"
    return Change(replace(action, state=State.CANCELING), Kind.CANCELING, (message,))


def worth_keeping(before: Action, change: Change, statuses: int) -> bool:
    """Whether the change is kept beside so many entries: a flood is cut, a new state never."""
    return statuses < MOST_STATUSES or change.action != before


def current(actions: Iterable[Action]) -> Action | None:
    """The one action that the device is told of: the oldest that is not closed."""
    return min((one for one in actions if not one.closed), key=lambda one: one.id, default=None)


def fingerprint(action: Action) -> int:
    """The ``c`` of a deploymentBase href: a signed 32-bit number, new when the offer changes."""
    offer = f"{action.id} {action.target} {action.distribution_set} forced"
    return zlib.crc32(offer.encode()) - 2**31


def standing(actions: Iterable[Action]) -> Standing:
    """How the target with these actions, oldest first, is doing."""
    *_, last = (None, *(one for one in actions if one.state is not State.CANCELED))
    if last is None:
        return Standing.REGISTERED
    if not last.closed:
        return Standing.PENDING
    return Standing.IN_SYNC if last.state is State.FINISHED else Standing.ERROR
