"""The device's history: how each update ended, as values and as bytes of a page.

What is in an entry comes from servers, from RAUC, from health checks and from whatever wrote to the
system's journal. A person reads it on a terminal, so no character that a terminal could obey gets
into an entry, and none gets out of one that somebody else has written.

Members that are not known are ignored, members that are missing are empty: the agents of both slots
write into one history. None of those below ever changes its meaning.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from flipside_agent.boot import Boot
from flipside_agent.page import ROOM
from flipside_agent.update import Outcome, Update, Verdict

FORMAT: Final = 1
PAGES: Final = 64
"""Entries that are kept; for ever, because agents of all ages share them."""

LINES: Final = 12
"""Lines of a failed boot's journal."""
LONGEST_LINE: Final = 200
_LONGEST: Final = {
    "action": 20,
    "version": 64,
    "replaced": 64,
    "slot": 16,
    "when": 20,
    "verdict": 16,
    "reason": 500,
    "check": 64,
    "boot": 36,
}
"""Characters. Without its lines, the longest entry still fits its page."""

Document = Mapping[str, Any]  # parsed JSON: every member is looked at before it is used


@dataclass(frozen=True, slots=True)
class Entry:
    """One update that ended."""

    action: str
    """The server's action; empty for a trial that was begun by hand."""
    version: str
    """What was tried; empty if nobody said."""
    replaced: str
    """The version that ran when it was offered; empty if not known."""
    slot: str
    """Bootname of the slot that it was for."""
    when: str
    """When it ended, by the device's clock: UTC to the second, ISO 8601."""
    verdict: str
    """In the words of :class:`~flipside_agent.update.Verdict`, or of a newer agent."""
    reason: str
    """One sentence; the one that the server was told."""
    check: str = ""
    """Name of the health check that failed, if one did."""
    journal: tuple[str, ...] = ()
    """The last lines of the failed boot; empty if it left none, or if there was no such boot."""
    boot: str = ""
    """The kernel's ``boot_id`` of the trial, as far as it is known."""

    @property
    def failed(self) -> bool:
        """Whether it is to be told why."""
        return self.verdict == Verdict.FAILURE

    def tells_of(self, other: Entry) -> bool:
        """Whether both are of one ending, which is then told once.

        Trials that were begun by hand have no action; of these, the boot has to tell. Where it is
        not known, better one told twice than two told once.
        """
        if (self.action, self.verdict, self.slot) != (other.action, other.verdict, other.slot):
            return False
        return bool(self.action) or bool(self.boot and self.boot == other.boot)

    def told_by(self, boot: str, lines: Iterable[str]) -> Entry:
        """The same with what a failed boot has left."""
        return _harmless(replace(self, boot=boot, journal=tuple(lines)[-LINES:]))

    def document(self) -> dict[str, object]:
        """The entry as ``flipside-agent history --json`` shows it."""
        return {
            "action": self.action,
            "version": self.version,
            "from": self.replaced,
            "slot": self.slot,
            "when": self.when,
            "verdict": self.verdict,
            "reason": self.reason,
            "check": self.check,
            "journal": list(self.journal),
        }


def ended(update: Update, outcome: Outcome, here: Boot, now: datetime) -> Entry:
    """The entry for an update that ended now, while the device runs from here."""
    on_target = here.slot == update.target
    on_base = here.slot == update.base
    return _harmless(
        Entry(
            action=update.action,
            version=update.bundle.version or (here.version if on_target else ""),
            replaced=update.replaces or (here.version if on_base else ""),
            slot=update.target,
            when=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            verdict=outcome.verdict,
            reason=outcome.reason,
            check=outcome.check,
            boot=here.id if on_target else "",
        )
    )


def encode(entry: Entry) -> bytes:
    """The payload that says this entry, with as many of its lines as there is room for."""
    document = entry.document() | {"boot": entry.boot}
    for first in range(len(entry.journal) + 1):
        document["journal"] = entry.journal[first:]
        payload = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        if len(payload) <= ROOM:
            return payload
    raise ValueError(f"an entry of {len(payload)} bytes, expected at most {ROOM}: {entry}")


def decode(payload: bytes) -> Entry | None:
    """The entry that a payload says; None if it is none."""
    try:
        document = json.loads(payload)
    except ValueError:
        return None
    if not isinstance(document, dict) or not _text(document, "verdict"):
        return None
    return _harmless(
        Entry(
            action=_text(document, "action"),
            version=_text(document, "version"),
            replaced=_text(document, "from"),
            slot=_text(document, "slot"),
            when=_text(document, "when"),
            verdict=_text(document, "verdict"),
            reason=_text(document, "reason"),
            check=_text(document, "check"),
            journal=_lines(document),
            boot=_text(document, "boot"),
        )
    )


def _text(document: Document, name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _lines(document: Document) -> tuple[str, ...]:
    value = document.get("journal")
    return tuple(str(line) for line in value) if isinstance(value, list) else ()


def _harmless(entry: Entry) -> Entry:
    """The same in characters that can be printed, and not too many of them."""
    texts = {name: _shown(getattr(entry, name), longest) for name, longest in _LONGEST.items()}
    lines = (_shown(line, LONGEST_LINE) for line in entry.journal[-LINES:])
    return Entry(**texts, journal=tuple(lines))


def _shown(text: str, longest: int) -> str:
    line = "".join(c if c.isprintable() else " " for c in text).strip()
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
