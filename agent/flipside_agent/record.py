"""What the journal says: a state and the boot that wrote it, as JSON, and back.

Two agents may read one journal: a newer one in the slot on trial, an older one in the base, either
way round. Three rules let both tell the story rightly:

* While an update is under way, the record keeps the format that it was begun with; an idle device
  writes its own (:func:`format_for`). A new format may say more, never less, so that whoever began
  the update can read how it went.
* Members that are not known are ignored; none of those below ever changes its meaning.
* A state that is not known, of an update that is, can only come from a newer agent that did not
  land or from one that was left: the update is rolled back, for the reason that was recorded or
  for this one (:func:`_unknown`). A success in it is not believed.

Strings that a person reads may be of any length and are shortened until the record fits its page;
those that the update needs are limited where it is accepted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from flipside_agent.page import ROOM
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
)
from flipside_agent.update import Bundle, Finished, Inspection, Outcome, Update, Verdict

FORMAT: Final = 1
"""The newest format that this agent writes, and the only one so far."""

_UPDATE: Final[dict[str, type[Preparing | Activating | Rebooting | Verifying | Committing]]] = {
    "preparing": Preparing,
    "activating": Activating,
    "rebooting": Rebooting,
    "verifying": Verifying,
    "committing": Committing,
}
_INSPECTION: Final[dict[str, type[Installing | Doubting]]] = {
    "installing": Installing,
    "doubting": Doubting,
}
_OUTCOME: Final[dict[str, type[RollingBack | Returning | Abandoning | Reporting]]] = {
    "rolling back": RollingBack,
    "returning": Returning,
    "abandoning": Abandoning,
    "reporting": Reporting,
}
_THEN: Final[dict[str, type[Checking | Confirming]]] = {
    "checking": Checking,
    "confirming": Confirming,
}
_NAMES: Final[dict[type, str]] = {Idle: "idle", Waiting: "waiting"} | {
    state: name
    for table in (_UPDATE, _INSPECTION, _OUTCOME, _THEN)
    for name, state in table.items()
}

_FOR_PEOPLE: Final = frozenset({"reason", "check", "version", "compatible", "replaces"})
_SHORTENED: Final = (400, 100, 25)
"""Lengths that these strings are cut to, in characters, one after the other until all fits."""

Value = State | Finished | Update | Bundle | Inspection | Outcome
Document = Mapping[str, Any]  # parsed JSON: every member is looked at before it is used


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of the journal."""

    state: State
    boot: str
    """Id of the boot that wrote it."""
    format: int = FORMAT


class _Unreadable(Exception):
    """A member is missing or is not what it was; never leaves this module."""


def format_for(state: State, begun_with: int) -> int:
    """The format to write a state in."""
    return FORMAT if isinstance(state, Idle) else min(begun_with, FORMAT)


def encode(record: Record) -> bytes:
    """The payload that says this record."""
    document = {"boot": record.boot, **_document(record.state)}
    for longest in _SHORTENED:
        text = json.dumps(_shortened(document, longest), ensure_ascii=False, separators=(",", ":"))
        # Half a surrogate pair may come from the server and has no UTF-8.
        payload = text.encode(errors="replace")
        if len(payload) <= ROOM:
            return payload
    raise ValueError(f"a record of {len(payload)} bytes, expected at most {ROOM}: {record}")


def decode(payload: bytes, format: int) -> Record | None:  # noqa: A002 - the journal's own word
    """The record that a payload says; None if it tells no story that can be continued."""
    try:
        document = json.loads(payload)
        return Record(_state(document), _text(document, "boot"), format)
    except (ValueError, _Unreadable):
        return None


def _document(value: Value) -> dict[str, object]:
    """The members of a value; those that are absent are left out."""
    document: dict[str, object] = {"state": _NAMES[type(value)]} if type(value) in _NAMES else {}
    for field in fields(value):
        member = getattr(value, field.name)
        if member is not None:
            document[field.name] = _document(member) if isinstance(member, Value) else member
    return document


def _shortened(document: Document, longest: int) -> dict[str, object]:
    return {
        name: _shortened(value, longest)
        if isinstance(value, dict)
        else value[:longest]
        if name in _FOR_PEOPLE
        else value
        for name, value in document.items()
    }


def _state(document: Document) -> State:
    name = _text(document, "state")
    if name == "idle":
        return Idle(_finished(_object(document, "last")) if "last" in document else None)
    if name in _THEN:
        then = _state(_object(document, "then"))
        if not isinstance(then, Ordinary):
            return then
        return _THEN[name](then, _number(document, "spent"))
    return _updating(name, _update(_object(document, "update")), document)


def _updating(name: str, update: Update, document: Document) -> State:
    if name in _UPDATE:
        return _UPDATE[name](update)
    if name in _INSPECTION:
        return _INSPECTION[name](update, _inspection(_object(document, "inspection")))
    if name in _OUTCOME:
        return _OUTCOME[name](update, _outcome(_object(document, "outcome")))
    if name == "waiting":
        seen = "inspection" in document
        return Waiting(update, _inspection(_object(document, "inspection")) if seen else None)
    return _unknown(name, update, document)


def _unknown(name: str, update: Update, document: Document) -> RollingBack:
    """A newer agent was here and is not any more."""
    if "outcome" in document:
        outcome = _outcome(_object(document, "outcome"))
        if outcome.verdict is not Verdict.SUCCESS:
            return RollingBack(update, outcome)
    reason = f"slot {update.target} was left while its agent was {name[:40]}"
    return RollingBack(update, Outcome(Verdict.FAILURE, reason))


def _finished(document: Document) -> Finished:
    update, outcome = _object(document, "update"), _object(document, "outcome")
    return Finished(_update(update), _outcome(outcome))


def _update(document: Document) -> Update:
    return Update(
        action=_text(document, "action"),
        bundle=_bundle(_object(document, "bundle")),
        base=_text(document, "base"),
        target=_text(document, "target"),
        # Agents before the history did not write it down.
        replaces=_text(document, "replaces") if "replaces" in document else "",
        spent=_number(document, "spent"),
    )


def _bundle(document: Document) -> Bundle:
    return Bundle(
        url=_text(document, "url"),
        size=_number(document, "size"),
        version=_text(document, "version"),
        sha256=_text(document, "sha256"),
        manifest_hash=_text(document, "manifest_hash"),
    )


def _inspection(document: Document) -> Inspection:
    return Inspection(
        manifest_hash=_text(document, "manifest_hash"),
        version=_text(document, "version"),
        compatible=_text(document, "compatible"),
        size=_number(document, "size"),
        tail_sha256=_text(document, "tail_sha256"),
    )


def _outcome(document: Document) -> Outcome:
    verdict = _text(document, "verdict")
    if verdict not in set(Verdict):
        raise _Unreadable("verdict")
    return Outcome(Verdict(verdict), _text(document, "reason"), _text(document, "check"))


def _text(document: Document, name: str) -> str:
    value = _member(document, name)
    if not isinstance(value, str):
        raise _Unreadable(name)
    return value


def _number(document: Document, name: str) -> int:
    value = _member(document, name)
    if not isinstance(value, int):
        raise _Unreadable(name)
    return value


def _object(document: Document, name: str) -> Document:
    value = _member(document, name)
    if not isinstance(value, dict):
        raise _Unreadable(name)
    return value


def _member(document: Document, name: str) -> object:
    if not isinstance(document, dict) or name not in document:
        raise _Unreadable(name)
    return document[name]
