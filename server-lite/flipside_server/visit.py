"""One request of a device that has been let in, and what the views answer it with."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, BinaryIO

from bottle import HTTPResponse

from flipside_server import ddi, terms
from flipside_server.action import Action, Change, State, Status, current, status, worth_keeping
from flipside_server.artifact_folder import ArtifactFolder
from flipside_server.byte_range import known
from flipside_server.contacts import Contacts
from flipside_server.errors import MalformedError, UnknownError
from flipside_server.settings import Settings
from flipside_server.software import DistributionSet, SoftwareModule
from flipside_server.store import Record, Store
from flipside_server.target import Target
from flipside_server.terms import Offer

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
    now: int
    """Milliseconds since 1970."""

    @property
    def method(self) -> str:
        """GET, HEAD, PUT or POST."""
        return str(self.environ["REQUEST_METHOD"])

    @property
    def agent(self) -> str:
        """What the client calls itself."""
        return str(self.environ.get("HTTP_USER_AGENT", ""))

    def header(self, name: str) -> str | None:
        """A header as it came; Bottle's own reading of them fails on what is no UTF-8."""
        value: str | None = self.environ.get("HTTP_" + name.upper().replace("-", "_"))
        return value

    def query(self, name: str) -> str:
        """A value of the query; empty if it is not there."""
        found = re.search(rf"(?:^|&){name}=([^&]*)", self.environ.get("QUERY_STRING", ""))
        return found[1] if found else ""

    def document(self, *, optional: bool = False) -> object:
        """The JSON body; None if there is none where it is optional."""
        body = self._body()
        if optional and not body:
            return None
        try:
            return json.loads(body)
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
    settings: Settings

    def own_action(self, visit: Visit, action_id: str) -> Action:
        """The visitor's action of that id."""
        key = number(action_id)
        action = self.store.get(Action, key)
        if action is None:
            raise UnknownError(f"there is no action {key}", entityId=key, type="Action")
        if action.target != visit.target.id:
            raise UnknownError(f"action {key} is not of this target")
        return action

    def own_actions(self, visit: Visit) -> list[Action]:
        """The visitor's actions that are not closed, oldest first."""
        key = visit.target.id
        kept = self.store.count(Action, "target", key)
        if kept == self.contacts.closed(key):
            return []
        found = self.store.find(Action, "target", key)
        still = [action for action in found if not action.closed]
        if not still:
            # Nothing that is closed opens again, so that this holds until there are more.
            self.contacts.note_closed(key, len(found))
        return still

    def own_target(self, visit: Visit) -> Target:
        """The visitor as it is now: another request may have changed it since it came in."""
        return self.store.get(Target, visit.target.id) or visit.target

    def modules(self, action: Action) -> list[SoftwareModule]:
        """What the action brings."""
        found = self.store.get(DistributionSet, action.distribution_set)
        modules = (self.store.get(SoftwareModule, key) for key in found.modules) if found else ()
        return [module for module in modules if module is not None]

    def offer(self, visit: Visit, action: Action) -> Offer | None:
        """What the visitor is offered of the action now; None if it must not see it."""
        found = terms.offer(action.terms, visit.now)
        if found.update != "skip" or not self._mistakes_skip(visit, action):
            return found
        # What began in its window may end after it: only so can its result be told.
        return terms.opened(found) if found.window and action.begun else None

    def todo(self, visit: Visit, actions: list[Action]) -> tuple[Action, Offer] | None:
        """The one thing that the visitor is told to do."""
        action = current(actions)
        if action is None:
            return None
        if action.state is State.CANCELING:
            return action, terms.offer(action.terms, visit.now)
        found = self.offer(visit, action)
        return (action, found) if found else None

    def versions(self, action: Action) -> set[str]:
        """What a device may show once this action has been installed."""
        found = self.store.get(DistributionSet, action.distribution_set)
        named = {found.version, found.label} if found else set()
        return named | {module.version for module in self.modules(action) if module.type == "os"}

    def save(self, visit: Visit, before: Action, change: Change, *others: Target) -> None:
        """Keep what follows for an action, with its entry in the history."""
        records = self.entered(visit, before, change)
        if records:
            self.store.save(*records, *others)

    def entered(self, visit: Visit, before: Action, change: Change) -> tuple[Record, ...]:
        """What there is to be kept of a change; nothing if the history is full of such."""
        if not worth_keeping(before, change, self.store.count(Status, "action", before.id)):
            return ()
        name, state = visit.target.controller_id, change.action.state
        _log.info("target=%s action=%d state=%s said=%s", name, before.id, state, change.kind)
        entry = status(self.store.new_id(Status), change, visit.now)
        return (entry,) if change.action == before else (change.action, entry)

    def _mistakes_skip(self, visit: Visit, action: Action) -> bool:
        files = (file.filename for module in self.modules(action) for file in module.artifacts)
        return terms.mistakes_skip(visit.agent, files)


def number(text: str) -> int:
    """An id out of a path."""
    if re.fullmatch(r"[0-9]{1,18}", text) is None:
        raise MalformedError("an id is a decimal number")
    return int(text)


def answer(visit: Visit, document: object) -> HTTPResponse:
    """The document under the name of JSON that the device asked for, or 304 if it has it."""
    body = json.dumps(document, separators=(",", ":")).encode()
    etag = f'"{blake2b(body, digest_size=16).hexdigest()}"'
    if known(visit.header("If-None-Match"), etag):
        return HTTPResponse(b"", 304, {"ETag": etag})
    hal = "application/hal+json" in (visit.header("Accept") or "")
    kind = "application/hal+json" if hal else "application/json"
    return HTTPResponse(body, 200, {**json_headers(kind), "ETag": etag})


def json_headers(kind: str = "application/json") -> dict[str, str]:
    """Headers of an answer that nobody else is to keep or to guess the type of."""
    return {
        "Content-Type": f"{kind};charset=UTF-8",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }


def done(status: int = 200) -> HTTPResponse:
    """No body; and exactly 200, which alone rauc-hawkbit-updater takes for success."""
    # Without a type of its own Bottle would call it HTML.
    return HTTPResponse(b"", status, {"Content-Type": "text/plain"})
