"""hawkBit's Direct Device Integration API, version 1: what is said, without saying it.

Bytes and values in, values out. Whatever comes from the server is taken as hostile: clamped,
matched against a pattern, or refused. Of the server's own links only the action's id and its
``c`` are used, so that no answer can send this device's credentials or requests elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urlsplit

from flipside_agent.errors import ServerError

LONGEST_ANSWER = 1 << 20
"""Bytes of JSON that are read of any answer."""

DEEPEST_ANSWER = 24
"""Levels of JSON; a deployment needs 9."""

_SLEEP = re.compile(r"([0-9]{1,3}):([0-5]?[0-9]):([0-5]?[0-9])")
_ACTION_PATH = re.compile(r"/(?:deploymentBase|cancelAction)/([1-9][0-9]{0,18})")
_ACTION = re.compile(r"[1-9][0-9]{0,18}")
_CHANGE = re.compile(r"-?[0-9]{1,11}")
# Takes a string that never ends, too, and never looks twice: a hostile answer costs no time.
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.?)*+"?', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")


@dataclass(frozen=True, slots=True)
class PollLimits:
    """How often this device is willing to ask, in seconds."""

    shortest: float
    longest: float
    unsaid: float
    """Where the server does not say, or not understandably."""


@dataclass(frozen=True, slots=True)
class Root:
    """The answer to a poll."""

    sleep: float
    """Seconds until the next poll, clamped."""
    deployment: str = ""
    """Id of the action that is to be worked on; empty if none."""
    change: str = ""
    """The server's mark of the deployment's present form, to be sent along when asking for it."""
    cancel: str = ""
    """Id of the action whose cancellation is asked for; empty if none."""
    wants_attributes: bool = False


def base_path(tenant: str, controller: str) -> str:
    """Return the path under which everything about one device is found."""
    return f"/{quote(tenant, safe='')}/controller/v1/{quote(controller, safe='')}"


def deployment_path(root: Root) -> str:
    """Return the path, below the base, of the deployment that a poll named."""
    change = f"?c={root.change}" if root.change else ""
    return f"/deploymentBase/{root.deployment}{change}"


def feedback_path(action: str) -> str:
    """Return the path, below the base, where news about an action goes."""
    return f"/deploymentBase/{action}/feedback"


def cancel_path(action: str, suffix: str = "") -> str:
    """Return the path, below the base, of an action's cancellation, or of the answer to it."""
    return f"/cancelAction/{action}{suffix}"


def document_of(raw: bytes) -> Mapping[str, object]:
    """Return the JSON object in an answer's body."""
    if _depth(raw) > DEEPEST_ANSWER:
        raise ServerError(f"the server sent JSON of more than {DEEPEST_ANSWER} levels")
    try:
        document = json.loads(raw)
    except ValueError as error:  # no JSON, no UTF-8, or a number of a million digits
        raise ServerError("the server sent something that is not JSON") from error
    if not isinstance(document, dict):
        raise ServerError("the server sent JSON that is not an object")
    return document


def _depth(raw: bytes) -> int:
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", raw)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def root_of(document: Mapping[str, object], limits: PollLimits) -> Root:
    """Return what an answer to a poll says."""
    links = table(document, "_links")
    deployment, change = _linked_action(links, "deploymentBase")
    cancel, _ = _linked_action(links, "cancelAction")
    polling = table(table(document, "config"), "polling")
    return Root(
        sleep=sleep_of(polling.get("sleep"), limits),
        deployment=deployment,
        change=change,
        cancel=cancel,
        wants_attributes="configData" in links,
    )


def sleep_of(said: object, limits: PollLimits) -> float:
    """Return the seconds that ``HH:MM:SS`` means, clamped."""
    match = _SLEEP.fullmatch(said) if isinstance(said, str) else None
    if match is None:
        return limits.unsaid
    hours, minutes, seconds = (int(part) for part in match.groups())
    asked = float(hours * 3600 + minutes * 60 + seconds)
    return min(max(asked, limits.shortest), limits.longest)


def _linked_action(links: Mapping[str, object], name: str) -> tuple[str, str]:
    if name not in links:
        return "", ""
    href = table(links, name).get("href")
    try:
        parts = urlsplit(href) if isinstance(href, str) else urlsplit("")
    except ValueError:
        parts = urlsplit("")
    match = _ACTION_PATH.search(parts.path)
    if match is None or not parts.path.endswith(match[0]):
        raise ServerError(f"the server's {name} link names no action: {shown(href)}")
    change = parse_qs(parts.query).get("c", [""])[0]
    return match[1], change if _CHANGE.fullmatch(change) else ""


def canceled_action(document: Mapping[str, object]) -> str:
    """Return the id of the action that a cancelAction resource asks to stop."""
    stop = str(table(document, "cancelAction").get("stopId"))
    if not _ACTION.fullmatch(stop):
        raise ServerError(f"the server asks to cancel the action {shown(stop)}, expected a number")
    return stop


def table(document: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def shown(value: object, limit: int = 64) -> str:
    """Return a stranger's value as one short line of printable characters."""
    text = value if isinstance(value, str) else repr(value)[: 4 * limit]
    return "".join(c if c.isprintable() else "?" for c in text[:limit])
