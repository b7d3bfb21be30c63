"""An action: one distribution set on its way to one target, from assignment to its end.

Pure: a function gets the action and what happened, and gives back what follows.
The history (``Status``) is kept apart, so that a report costs the same however long it grew.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from flipside_server.errors import (
    ActionClosedError,
    HiddenError,
    NotCancelableError,
    OperatorError,
)
from flipside_server.feedback import Answer, Confirmation, Execution, Feedback, Finished
from flipside_server.terms import AT_ONCE, Offer, Terms, Urgency

MOST_STATUSES = 1000
"""Entries kept of one action, as in hawkBit; what changes its state is kept in any case."""


class State(StrEnum):
    """Where an action stands."""

    WAITING = "waiting"
    """For somebody at the device to confirm it."""
    OPEN = "open"
    INSTALLED = "installed"
    """Success was reported, and is held until the device shows the new version."""
    CANCELING = "canceling"
    FINISHED = "finished"
    ERROR = "error"
    CANCELED = "canceled"
    DOWNLOADED = "downloaded"
    """The end of what was only to be downloaded."""


class Kind(StrEnum):
    """What one entry of the history says, in hawkBit's words."""

    RUNNING = "running"
    WAITING = "wait_for_confirmation"
    RETRIEVED = "retrieved"
    DOWNLOAD = "download"
    DOWNLOADED = "downloaded"
    WARNING = "warning"
    INSTALLED = "installed"
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


_CLOSED = frozenset({State.FINISHED, State.ERROR, State.CANCELED, State.DOWNLOADED})


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
    terms: Terms = AT_ONCE
    begun: bool = False
    """The device has told of its progress."""
    held_until: int = 0
    """When a held success becomes an error: milliseconds since 1970."""

    @property
    def closed(self) -> bool:
        """The device is asked nothing more about it."""
        return self.state in _CLOSED


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


def accept(action: Action, feedback: Feedback, now: int = 0, hold: int = 0) -> Change:
    """What the device's report about the deployment makes of the action.

    A success is held for so many seconds from now (milliseconds since 1970).
    """
    if action.state is State.WAITING:
        raise HiddenError(f"action {action.id} waits for confirmation")
    closing = feedback.execution is Execution.CLOSED
    # As in hawkBit, what was only downloaded may still be told to have been installed.
    if action.closed and not (closing and action.state is State.DOWNLOADED):
        raise ActionClosedError(f"action {action.id} is closed")
    if closing:
        return _closed(action, feedback, now, hold)
    return Change(_progressed(action, feedback), _NOTED[feedback.execution], feedback.messages)


_NOTED = {
    Execution.PROCEEDING: Kind.RUNNING,
    Execution.SCHEDULED: Kind.RUNNING,
    Execution.RESUMED: Kind.RUNNING,
    Execution.DOWNLOAD: Kind.DOWNLOAD,
    Execution.DOWNLOADED: Kind.DOWNLOADED,
    Execution.REJECTED: Kind.WARNING,
    # hawkBit notes it; only the cancelAction resource ends an action as canceled.
    Execution.CANCELED: Kind.CANCELED,
}
_IDLE = (Execution.REJECTED, Execution.CANCELED)


def _progressed(action: Action, feedback: Feedback) -> Action:
    if feedback.execution in _IDLE:
        return action
    downloaded = feedback.execution is Execution.DOWNLOADED
    if downloaded and action.terms.urgency is Urgency.DOWNLOAD_ONLY:
        return replace(action, state=State.DOWNLOADED, begun=True)
    return replace(action, begun=True)


def _closed(action: Action, feedback: Feedback, now: int, hold: int) -> Change:
    said = feedback.messages
    if feedback.finished is Finished.FAILURE:
        return Change(replace(action, state=State.ERROR), Kind.ERROR, said)
    if action.state is State.INSTALLED:
        return Change(action, Kind.RUNNING, said)
    if hold and action.terms.urgency is not Urgency.DOWNLOAD_ONLY:
        held = replace(action, state=State.INSTALLED, held_until=now + hold * 1000)
        return Change(held, Kind.INSTALLED, said)
    return Change(replace(action, state=State.FINISHED), Kind.FINISHED, said)


def confirm(action: Action, answer: Answer) -> Change:
    """What the answer of somebody at the device makes of an action that waits for it."""
    if action.closed:
        raise ActionClosedError(f"action {action.id} is closed")
    if action.state is not State.WAITING:
        raise HiddenError(f"action {action.id} does not wait for confirmation")
    if answer.confirmation is Confirmation.DENIED:
        # As in hawkBit: it goes on waiting, and may be confirmed later.
        message = "Update Server: the device denied it."
        return Change(action, Kind.WAITING, (message, *answer.messages))
    message = "Update Server: the device confirmed it."
    return Change(replace(action, state=State.OPEN), Kind.RUNNING, (message, *answer.messages))


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
    if action.state is State.INSTALLED:
        # The device has done its part and would not understand what it is to stop.
        return Change(replace(action, state=State.CANCELED), Kind.CANCELED, (message,))
    return Change(replace(action, state=State.CANCELING), Kind.CANCELING, (message,))


def force_cancel(action: Action) -> Change:
    """What follows when an operator does not wait for the device's answer any longer."""
    if action.state is not State.CANCELING:
        raise OperatorError(
            f"action {action.id} is {action.state}: cancel it first, then force what is canceling"
        )
    message = "Update Server: the operator did not wait for the device's answer."
    return Change(replace(action, state=State.CANCELED), Kind.CANCELED, (message,))


def worth_keeping(before: Action, change: Change, statuses: int) -> bool:
    """Whether the change is kept beside so many entries: a flood is cut, a new state never."""
    return statuses < MOST_STATUSES or change.action != before


def current(actions: Iterable[Action]) -> Action | None:
    """The one action that the device is told of: the oldest that asks something of it."""
    asking = (one for one in actions if not one.closed and one.state is not State.INSTALLED)
    return min(asking, key=lambda one: one.id, default=None)


def fingerprint(action: Action, offer: Offer) -> int:
    """The ``c`` of a deploymentBase href: a signed 32-bit number, new when the offer changes."""
    told = (
        f"{action.id} {action.target} {action.distribution_set} {action.state} "
        f"{offer.download} {offer.update} {offer.window}"
    )
    return zlib.crc32(told.encode()) - 2**31


def standing(actions: Iterable[Action]) -> Standing:
    """How the target with these actions, oldest first, is doing."""
    *_, last = (None, *(one for one in actions if one.state is not State.CANCELED))
    if last is None:
        return Standing.REGISTERED
    if not last.closed:
        return Standing.PENDING
    return Standing.ERROR if last.state is State.ERROR else Standing.IN_SYNC
