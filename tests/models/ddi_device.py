"""Devices that speak DDI, and a server without a network for them to call."""

from __future__ import annotations

import io
import json
import sys
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flipside_server.application import application
from flipside_server.artifact_folder import ArtifactFolder
from flipside_server.contacts import Contacts
from flipside_server.control import Control
from flipside_server.front_desk import NotHere, front_desk
from flipside_server.orders import AddArtifact, AddTarget, Assign, Cancel, Show, Subject
from flipside_server.overdue import Rounds
from flipside_server.settings import USUAL, Settings
from flipside_server.terms import AT_ONCE, Terms
from flipside_server.tiny_store import TinyStore
from flipside_server.visit import Desk

FIRMWARE = bytes(range(256)) * 64
Headers = dict[str, str]
OFTEN = replace(USUAL, sleep="00:00:30")


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: Headers
    body: bytes
    largest_block: int = 0
    """Bytes of the largest piece that the application gave at once."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class House:
    """A server in memory and in one temporary directory, with a clock that ticks when asked."""

    path: Path
    now: int = 1_000_000
    settings: Settings = OFTEN
    store: TinyStore = field(init=False)

    def __post_init__(self) -> None:
        self.artifacts = ArtifactFolder(self.path / "artifacts")
        self.artifacts.prepare()
        self.contacts = Contacts()
        self.open()

    def open(self) -> None:
        self.store = TinyStore.open(self.path / "records.log")
        self.control = Control(self.store, self.artifacts, self.contacts, self.clock)
        desk = Desk(self.store, self.artifacts, self.contacts, self.clock, self.settings)
        self.quick, self.app = application(front_desk(desk)), application(desk)
        self._rounds = Rounds.begun(self.store, self.clock, self.settings.sleep)

    def answer(self, environ: dict[str, Any]) -> Answer:
        """Do as the listener: ask the desk that never waits first, and the other if it must."""
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            with suppress(NotHere):
                return _read(*_begun(self.quick, dict(environ)))
        return _read(*_begun(self.app, environ))

    def clock(self) -> int:
        self.now += 1
        return self.now

    def wait(self, seconds: int) -> None:
        """Let time go by, in which the server does what is due."""
        end = self.now + 1000 * seconds
        while self.now < end:
            self.now = min(self.now + 5000, end)
            self._rounds.go()

    def device(self, name: str) -> Device:
        return Device(self, name, self.control.carry_out(AddTarget(name))["token"])

    def serve(self, settings: Settings) -> None:
        """Go on with other settings."""
        self.settings = settings
        self.store.close()
        self.open()

    def release(
        self, version: str, content: bytes = FIRMWARE, file: str = "fw.raucb", **metadata: str
    ) -> str:
        named = {key.replace("_", "."): value for key, value in metadata.items()}
        order = AddArtifact(file, "os", version, len(content), named)
        label: str = self.control.carry_out(order, io.BytesIO(content))["label"]
        return label

    def assign(
        self, name: str, label: str, terms: Terms = AT_ONCE, *, confirm: bool = False
    ) -> int:
        order = Assign(name, label, terms, confirm)
        action: int = self.control.carry_out(order)["action"]
        return action

    def cancel(self, action: int) -> None:
        self.control.carry_out(Cancel(action))

    def show(self, subject: Subject) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = self.control.carry_out(Show((subject,)))[subject]
        return shown

    def target(self, name: str) -> dict[str, Any]:
        return next(one for one in self.show(Subject.TARGETS) if one["target"] == name)

    def action(self, key: int) -> dict[str, Any]:
        return next(one for one in self.show(Subject.ACTIONS) if one["id"] == key)

    def written(self) -> int:
        return (self.path / "records.log").stat().st_size


@dataclass
class Device:
    """A DDI client as far as a test needs one."""

    house: House
    name: str
    token: str
    tenant: str = "DEFAULT"
    headers: Headers = field(default_factory=dict)
    environ: dict[str, Any] = field(default_factory=dict)
    """What a listener adds to the WSGI environment."""

    def get(self, path: str = "", **headers: str) -> Answer:
        return self.call("GET", path, headers=headers)

    def call(
        self, method: str, path: str = "", body: Any = None, headers: Headers | None = None
    ) -> Answer:
        """Ask for a path below the base resource, or for an absolute href of an answer."""
        url = path if path.startswith("http") else self.base() + path
        payload = body if isinstance(body, bytes) else b"" if body is None else dump(body)
        environ = self._environ(method, url, payload)
        given = {"Authorization": f"TargetToken {self.token}", **self.headers, **(headers or {})}
        environ |= {f"HTTP_{key.upper().replace('-', '_')}": text for key, text in given.items()}
        return self.house.answer(environ | self.environ)

    def base(self) -> str:
        return f"http://flipside.test/{self.tenant}/controller/v1/{self.name}"

    def poll(self) -> dict[str, Any]:
        links: dict[str, Any] = self.get().json.get("_links", {})
        return links

    def report(self, action: int, execution: str, finished: str = "none", *details: str) -> Answer:
        status = {"execution": execution, "result": {"finished": finished}, "details": details}
        return self.call("POST", f"/deploymentBase/{action}/feedback", {"status": status})

    def answer_cancel(self, action: int, execution: str, finished: str = "success") -> Answer:
        body = {"status": {"execution": execution, "result": {"finished": finished}}}
        return self.call("POST", f"/cancelAction/{action}/feedback", body)

    def artifact(self, action: int) -> dict[str, Any]:
        chunks = self.get(f"/deploymentBase/{action}").json["deployment"]["chunks"]
        found: dict[str, Any] = chunks[0]["artifacts"][0]
        return found

    def download(self, action: int) -> str:
        href: str = self.artifact(action)["_links"]["download-http"]["href"]
        return href

    def _environ(self, method: str, url: str, payload: bytes) -> dict[str, Any]:
        scheme, _, rest = url.partition("://")
        host, _, path = rest.partition("/")
        path, _, query = path.partition("?")
        return {
            "REQUEST_METHOD": method,
            "PATH_INFO": "/" + path,
            "QUERY_STRING": query,
            "HTTP_HOST": host,
            "CONTENT_LENGTH": str(len(payload)),
            "wsgi.url_scheme": scheme,
            "wsgi.input": io.BytesIO(payload),
            "wsgi.errors": sys.stderr,
            "REMOTE_ADDR": "192.0.2.7",
        }


def dump(body: Any) -> bytes:
    return json.dumps(body).encode()


def _begun(app: Any, environ: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Status and headers, and the blocks of the body."""
    heard: dict[str, Any] = {}

    def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
        heard.update(status=int(status[:3]), headers={key.lower(): text for key, text in headers})

    return heard, app(environ, start_response)


def _read(heard: dict[str, Any], answer: Any) -> Answer:
    try:
        blocks = list(answer)
    except NotHere as error:
        raise AssertionError("what has begun cannot be begun anew") from error
    finally:
        if hasattr(answer, "close"):
            answer.close()
    largest = max((len(block) for block in blocks), default=0)
    return Answer(body=b"".join(blocks), largest_block=largest, **heard)
