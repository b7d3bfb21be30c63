"""A target: one device as the server knows it, and what its attributes may become."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from flipside_server.errors import (
    AttributesError,
    ConflictError,
    MalformedError,
    OperatorError,
    QuotaError,
)

CONTROLLER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+~-]{0,127}")
MOST_ATTRIBUTES = 100
LONGEST_ATTRIBUTE = 128
LONGEST_REMARK = 512


class Mode(StrEnum):
    """How sent attributes meet those already known (DDI configData)."""

    MERGE = "merge"
    REPLACE = "replace"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class AutoConfirm:
    """Whether the device has every action confirmed beforehand (DDI confirmationBase)."""

    active: bool = False
    initiator: str | None = None
    remark: str | None = None
    activated_at: int = 0
    """Milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Target:
    """One device."""

    id: int
    controller_id: str
    """The name that the device gives itself in every URL."""
    token: str
    """Proof of its target token, as :mod:`flipside_server.credentials` makes it; empty if none."""
    created: int = 0
    """Milliseconds since 1970."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    wants_attributes: bool = True
    """The device is asked for its attributes at the next poll."""
    installed: int = 0
    """Id of the last action that ended well; 0 if none did."""
    proven: int = 0
    """Id of the last action whose version the device has shown; 0 if it showed none."""
    shown: str = ""
    """The version that the device showed last; empty if it shows none."""
    fell_back: bool = False
    """It showed an older version after the last update had ended well."""
    auto_confirm: AutoConfirm = AutoConfirm()


def checked_controller_id(text: str) -> str:
    """The controller id, if it can stand in a URL and in a log."""
    if CONTROLLER_ID.fullmatch(text) is None:
        raise OperatorError(
            f"the target name {text!r} cannot be used: give 1 to 128 letters, digits or any "
            "of ._:@+~- that begin with a letter or digit"
        )
    return text


def described(target: Target, document: object) -> Target:
    """The target after the device sent this configData body."""
    if not isinstance(document, dict) or not isinstance(document.get("data"), dict):
        raise MalformedError("configData needs a JSON object with an object named data")
    mode = _mode(document.get("mode"))
    attributes = _merged(target.attributes, mode, document["data"])
    if len(attributes) > MOST_ATTRIBUTES:
        raise QuotaError(f"a target keeps at most {MOST_ATTRIBUTES} attributes")
    return replace(target, attributes=attributes, wants_attributes=False)


def updated(target: Target, action: int) -> Target:
    """The target after this action ended well: asked anew what it is, as hawkBit does."""
    return replace(target, installed=action, wants_attributes=True, fell_back=False)


def asked(target: Target) -> Target:
    """The target once it is to be asked for its attributes."""
    return replace(target, wants_attributes=True)


def auto_confirming(target: Target, document: object, now: int) -> Target:
    """The target after it asked for auto-confirmation with this body, which may be empty."""
    if target.auto_confirm.active:
        raise ConflictError(f"auto-confirmation is active for {target.controller_id} already")
    given = {} if document is None else document
    if not isinstance(given, dict):
        raise MalformedError("auto-confirmation is asked for with a JSON object")
    found = AutoConfirm(True, _remark(given, "initiator"), _remark(given, "remark"), now)
    return replace(target, auto_confirm=found)


def auto_confirmed(target: Target, auto: AutoConfirm) -> Target:
    """The target with this rule for its confirmations."""
    return replace(target, auto_confirm=auto)


def _remark(document: Mapping[str, object], name: str) -> str | None:
    text = document.get(name)
    if text is None or (isinstance(text, str) and len(text) <= LONGEST_REMARK):
        return text
    raise MalformedError(f"the {name} is a string of at most {LONGEST_REMARK} characters")


def _mode(value: object) -> Mode:
    if value is None:
        return Mode.MERGE
    if not isinstance(value, str) or value not in set(Mode):
        raise MalformedError("the mode of configData is merge, replace or remove")
    return Mode(value)


def _merged(known: Mapping[str, str], mode: Mode, sent: Mapping[str, object]) -> dict[str, str]:
    if not sent:
        raise MalformedError("the data of configData must not be empty")
    if mode is Mode.REMOVE:
        return {key: value for key, value in known.items() if key not in sent}
    texts = {key: _text(key, value) for key, value in sent.items()}
    return texts if mode is Mode.REPLACE else {**known, **texts}


def _text(key: str, value: object) -> str:
    if isinstance(value, bool):
        value = "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise MalformedError("every attribute of configData is a string")
    text = str(value)
    if not 0 < len(key) <= LONGEST_ATTRIBUTE or len(text) > LONGEST_ATTRIBUTE:
        raise AttributesError(
            f"an attribute has a name and a value of at most {LONGEST_ATTRIBUTE} characters"
        )
    return text
