"""One request of a device that has been let in, and what the views answer it with."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from bottle import HTTPResponse

from flipside_server import ddi
from flipside_server.action import Action, Change, Status, status, worth_keeping
from flipside_server.artifact_folder import ArtifactFolder
from flipside_server.contacts import Contacts
from flipside_server.errors import MalformedError, UnknownError
from flipside_server.software import DistributionSet, SoftwareModule
from flipside_server.store import Store
from flipside_server.target import Target

LARGEST_BODY = 1 << 20
"""Bytes of a device's JSON body; the largest seen is 5 kB."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Visit:
    """One request, its sender known."""

    target: Target
    links: ddi.Links
    environ: Mapping[str, Any]
    """The WSGI environment."""

    @property
    def method(self) -> str:
        """GET, HEAD, PUT or POST."""
        return str(self.environ["REQUEST_METHOD"])

    def header(self, name: str) -> str | None:
        """A header as it came; Bottle's own reading of them fails on what is no UTF-8."""
        value: str | None = self.environ.get("HTTP_" + name.upper().replace("-", "_"))
        return value

    def document(self) -> object:
        """The JSON body."""
        try:
            return json.loads(self._body())
        except (ValueError, RecursionError) as error:
            raise MalformedError("the body is not JSON") from error

    def _body(self) -> bytes:
        body: BinaryIO = self.environ["wsgi.input"]
        if self.environ.get("wsgi.input_terminated"):
            return body.read(LARGEST_BODY)
        length = int(self.environ.get("CONTENT_LENGTH") or 0)
        if not 0 <= length <= LARGEST_BODY:
            raise MalformedError(f"the body has not 0 to {LARGEST_BODY} bytes")
        return body.read(length)


@dataclass(frozen=True, slots=True)
class Desk:
    """What the views work with."""

    store: Store
    artifacts: ArtifactFolder
    contacts: Contacts
    clock: Callable[[], int]
    """Milliseconds since 1970."""
    sleep: str
    """Polling interval told to devices, HH:MM:SS."""

    def own_action(self, visit: Visit, action_id: str) -> Action:
        """The visitor's action of that id."""
        action = self.store.get(Action, number(action_id))
        if action is None or action.target != visit.target.id:
            raise UnknownError(f"there is no action {action_id} of this target")
        return action

    def own_target(self, visit: Visit) -> Target:
        """The visitor as it is now: another request may have changed it since it came in."""
        return self.store.get(Target, visit.target.id) or visit.target

    def modules(self, action: Action) -> list[SoftwareModule]:
        """What the action brings."""
        found = self.store.get(DistributionSet, action.distribution_set)
        modules = (self.store.get(SoftwareModule, key) for key in found.modules) if found else ()
        return [module for module in modules if module is not None]

    def save(self, visit: Visit, before: Action, change: Change, *others: Target) -> None:
        """Keep what follows for an action, with its entry in the history."""
        entries = self.store.count(Status, "action", before.id)
        if worth_keeping(before, change, entries):
            entry = status(self.store.new_id(Status), change, self.clock())
            self.store.save(change.action, entry, *others)
            name, state = visit.target.controller_id, change.action.state
            _log.info("target=%s action=%d state=%s said=%s", name, before.id, state, change.kind)


def number(text: str) -> int:
    """An id out of a path."""
    if re.fullmatch(r"[0-9]{1,18}", text) is None:
        raise MalformedError("an id is a decimal number")
    return int(text)


def answer(visit: Visit, document: ddi.Document) -> HTTPResponse:
    """The document, under the name of JSON that the device asked for."""
    hal = "application/hal+json" in (visit.header("Accept") or "")
    kind = "application/hal+json" if hal else "application/json"
    return HTTPResponse(json.dumps(document).encode(), 200, json_headers(kind))


def json_headers(kind: str = "application/json") -> dict[str, str]:
    """Headers of an answer that nobody else is to keep or to guess the type of."""
    return {
        "Content-Type": f"{kind};charset=UTF-8",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }


def done() -> HTTPResponse:
    """Exactly 200 and no body: rauc-hawkbit-updater takes nothing else for success."""
    return HTTPResponse(b"", 200)
