"""A server of ours with an operator, and the wire to it, which sees and may spoil everything."""

from __future__ import annotations

import io
import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flipside_server import cli
from models.debian_clients import PATIENCE
from models.server_process import serving
from models.web import Mood, Seen, Web

DEVICE = "/DEFAULT/controller/v1/pi-1"


@dataclass
class Site:
    """What an operator does, and what goes over the wire to the one device, pi-1."""

    data: Path
    wire: Web
    token: str
    """The device's."""

    @property
    def server(self) -> str:
        """Where the device finds the server, ``host:port``."""
        return f"127.0.0.1:{self.wire.port}"

    def order(self, *words: str | Path) -> str:
        """Run a command of the operator's, which has to succeed."""
        return _ordered(*words, "--data", self.data)

    def release(self, filename: str, content: bytes, version: str = "2") -> None:
        """Put a file on the shelf as os:VERSION."""
        file = self.data.parent / filename
        file.write_bytes(content)
        self.order("artifact", "add", file, "--name", "os", "--version", version)

    def assign(self, *terms: str, version: str = "2") -> int:
        """Have the device install it; the action's id."""
        return int(self.order("assign", "pi-1", f"os:{version}", *terms))

    def action(self, key: int) -> dict[str, Any]:
        """What the server knows of an action."""
        found = self._shown("actions")
        return next(one for one in found if one["id"] == key)

    def state(self, key: int) -> str:
        """Where an action stands."""
        return str(self.action(key)["state"])

    def told(self, key: int) -> list[str]:
        """Everything that was said of an action, oldest first."""
        return [text for status in self.action(key)["statuses"] for text in status["messages"]]

    def target(self) -> dict[str, Any]:
        """What the server knows of the device."""
        (found,) = self.targets()
        return found

    def targets(self) -> list[dict[str, Any]]:
        """What the server knows of every device."""
        return self._shown("targets")

    def feedback(self, key: int) -> list[dict[str, Any]]:
        """What the device reported of an action, as it came over the wire."""
        seen = self.wire.asked(f"{DEVICE}/deploymentBase/{key}/feedback", "POST")
        return [_status(one) for one in seen]

    def spoil(self, part: str, *moods: Mood) -> None:
        """Have the next answers to requests with this in line or body come out in these moods."""
        left = deque(moods)

        def mood(seen: Seen) -> Mood | None:
            wanted = part in f"{seen.method} {seen.path} {seen.body.decode(errors='replace')}"
            return left.popleft() if left and wanted else None

        self.wire.mood_for = mood

    def until_answered(self, part: str, body: str = "", times: int = 1) -> None:
        """Wait until so many requests with these parts in line and body were answered."""

        def enough() -> bool:
            found = (
                seen
                for seen, _ in self.wire.answered
                if part in f"{seen.method} {seen.path}" and body.encode() in seen.body
            )
            return sum(1 for _ in found) >= times

        self.wire.wait(enough, PATIENCE)

    def _shown(self, subject: str) -> list[dict[str, Any]]:
        documents: list[dict[str, Any]] = json.loads(self.order("show", subject, "--json"))[subject]
        return documents


@contextmanager
def site(folder: Path, settings: str = "") -> Iterator[Site]:
    """A server that runs with this ``server.toml`` and knows pi-1."""
    data = folder / "data"
    token = _ordered("target", "add", "pi-1", "--data", data)
    file = folder / "server.toml"
    file.touch(0o600)
    file.write_text(settings)
    with serving(data, "--poll", "00:00:01", "--config", str(file)) as server:
        wire = Web()
        wire.behind = server.port
        wire.switch_on()
        try:
            yield Site(data, wire, token)
        finally:
            wire.switch_off()


def _ordered(*words: str | Path) -> str:
    """What the command prints; run in this process, which many tests want to spare."""
    out = io.StringIO()
    with redirect_stdout(out):
        code = cli.main([str(word) for word in words])
    assert code == 0, f"{words} ended with code {code}"
    return out.getvalue().strip()


def _status(seen: Seen) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(seen.body)["status"]
    return status
