"""What a boot that failed has to say: the few lines of its journal that are worth keeping.

The input is what ``journalctl --output=json`` says, one object a line, oldest first (systemd's
JOURNAL_EXPORT_FORMATS, "Journal JSON Format").

What follows a failure says ten times as much as the failure. So the story ends where the agent
begins to roll back, or the shutdown begins, and that units started and stopped as they should is
left out. What was about to start when all ended stays: it may be what hung.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from flipside_agent.states import Status

_SHUTDOWN: Final = "98268866d1d54a499c4e98921d93bc40"
"""sd-messages.h: logind was asked to end this boot, and does."""
_ROUTINE: Final = frozenset(
    {
        "39f53479d3a045ac8e11786248231fbf",  # started
        "de5b426a63be47a7b6ac3eaac82e2f6f",  # stopping
        "9d1aaa27d60140bd96365438aad20286",  # stopped
        "7ad2d189f7e94e70a38c781354912448",  # ended by itself, without an error
        "ae8f7b866b0347b9af31fe1c80b127c0",  # what it has consumed
    }
)
"""sd-messages.h: a unit did as it should."""
_GIVEN_UP: Final = ("flipside-agent", f"flipside: {Status.ROLLING_BACK}")
"""Who says so, and how it begins."""
_SLOT: Final = re.compile(r"\brauc\.slot=(\w+)")

Message = Mapping[str, Any]  # parsed JSON: every member is looked at before it is used


class Trial(NamedTuple):
    """A boot that its journal calls a trial."""

    boot: str
    """The kernel's ``boot_id``, with dashes, as the agent knows it."""
    slot: str
    """Bootname of the slot that was on trial."""


def trial(output: str) -> Trial | None:
    """Which boot the kernel command line in a journal's last message is of; None if of none."""
    for message in reversed(list(_messages(output))):
        slot = _SLOT.search(_text(message, "MESSAGE"))
        boot = _text(message, "_BOOT_ID")
        if slot and re.fullmatch(r"[0-9a-f]{32}", boot):
            return Trial(_dashed(boot), slot[1])
    return None


def last_words(output: str) -> tuple[str, ...]:
    """The lines up to the shutdown, oldest first."""
    return tuple(_lines(_messages(output)))


def _lines(messages: Iterable[Message]) -> Iterator[str]:
    for message in messages:
        about = _text(message, "MESSAGE_ID")
        if about == _SHUTDOWN:
            return
        said = _text(message, "MESSAGE").strip()
        who = _text(message, "SYSLOG_IDENTIFIER") or _text(message, "_COMM") or "unknown"
        if (who, said[: len(_GIVEN_UP[1])]) == _GIVEN_UP:
            return
        if said and about not in _ROUTINE:
            yield f"{who}: {said}"


def _messages(output: str) -> Iterator[Message]:
    for line in output.split("\n"):
        try:
            message = json.loads(line)
        except ValueError:
            continue  # cut off in the middle
        if isinstance(message, dict):
            yield message


def _text(message: Message, field: str) -> str:
    match message.get(field):
        case str(text):
            return text
        case [*numbers] if all(isinstance(each, int) and 0 <= each < 256 for each in numbers):
            return bytes(numbers).decode("utf-8", "replace")  # how bytes that are no text are told
        case _:
            return ""


def _dashed(boot: str) -> str:
    return "-".join((boot[:8], boot[8:12], boot[12:16], boot[16:20], boot[20:]))
