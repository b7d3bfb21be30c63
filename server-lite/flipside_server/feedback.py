"""What a device says about an action, whichever client says it.

rauc-hawkbit-updater sends the action's id as a string, SWUpdate as a number, newer clients none;
``time`` or ``timestamp``, ``progress`` and ``code`` come and go.
All of that is ignored: the id in the path counts, and the server has its own clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from flipside_server.errors import MalformedError

MOST_MESSAGES = 50
LONGEST_MESSAGE = 512


class Execution(StrEnum):
    """How far the device is."""

    CLOSED = "closed"
    PROCEEDING = "proceeding"
    SCHEDULED = "scheduled"
    RESUMED = "resumed"
    DOWNLOAD = "download"
    DOWNLOADED = "downloaded"
    REJECTED = "rejected"
    CANCELED = "canceled"


class Finished(StrEnum):
    """How a closed action ended; ``none`` counts as success, as in hawkBit."""

    SUCCESS = "success"
    FAILURE = "failure"
    NONE = "none"


class Confirmation(StrEnum):
    """What somebody at the device decided."""

    CONFIRMED = "confirmed"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of confirmationBase feedback."""

    confirmation: Confirmation
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Feedback:
    """One report of a device."""

    execution: Execution
    finished: Finished
    messages: tuple[str, ...] = ()


def read(document: object) -> Feedback:
    """The report in a feedback body, or MalformedError."""
    status = _member(document, "status")
    result = _member(status, "result")
    execution, finished = status.get("execution"), result.get("finished")
    # Tuples, because what a device sent need not be hashable.
    if execution not in tuple(Execution) or finished not in tuple(Finished):
        raise MalformedError("feedback needs status.execution and status.result.finished of DDI")
    messages = _messages(status.get("details"))
    return Feedback(Execution(str(execution)), Finished(str(finished)), messages)


def read_confirmation(document: object) -> Answer:
    """The answer in a confirmationBase feedback body, or MalformedError."""
    found = document if isinstance(document, dict) else {}
    if found.get("confirmation") not in tuple(Confirmation):
        raise MalformedError("confirmation feedback needs confirmation: confirmed or denied")
    messages = _messages(found.get("details"))
    return Answer(Confirmation(str(found["confirmation"])), messages)


def _member(document: object, name: str) -> dict[str, object]:
    value = document.get(name) if isinstance(document, dict) else None
    if not isinstance(value, dict):
        raise MalformedError(f"feedback needs a JSON object named {name}")
    return value


def _messages(details: object) -> tuple[str, ...]:
    if details is None:
        return ()
    if not isinstance(details, list):
        raise MalformedError("the details of feedback are a list of strings")
    return _bounded([piece for detail in details for piece in _pieces(detail)])


def _pieces(detail: object) -> list[str]:
    # hawkBit splits what is longer than 512 characters; cutting it would lose the reason.
    if not isinstance(detail, str | int | float):
        raise MalformedError("the details of feedback are a list of strings")
    text = str(detail)
    return [text[at : at + LONGEST_MESSAGE] for at in range(0, len(text), LONGEST_MESSAGE)]


def _bounded(messages: list[str]) -> tuple[str, ...]:
    # hawkBit answers 429 to more than 50, and SWUpdate then starts over for ever;
    # the last messages are kept because they say how it ended.
    if len(messages) <= MOST_MESSAGES:
        return tuple(messages)
    dropped = len(messages) - MOST_MESSAGES + 1
    return (f"({dropped} earlier messages were dropped)", *messages[dropped:])
