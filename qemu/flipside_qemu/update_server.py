"""A running ``flipside-server``, driven by its own command as an operator would."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flipside_qemu import process
from flipside_qemu.deadline import Deadline
from flipside_qemu.errors import HostError
from flipside_qemu.process import Process

GUEST_VIEW = "10.0.2.2"
"""The host's loopback, as QEMU's user network shows it to a guest."""
_COMMAND = (sys.executable, "-m", "flipside_server")


@dataclass(frozen=True, slots=True)
class Belief:
    """What the server believes of one action."""

    action: int
    version: str
    state: str
    """hawkBit's words: running, finished, error, canceled and the like."""
    closed: bool
    messages: tuple[str, ...]
    """All that the device has said, oldest first."""
    last_words: str
    """What it said in its last report."""


class UpdateServer:
    """One data directory and the server that serves it, on a port that stays the same."""

    def __init__(self, directory: Path, port: int, poll: str = "00:00:05") -> None:
        self._directory = directory
        self._port = port
        self._poll = poll
        self._running: Process | None = None

    @property
    def url(self) -> str:
        """Where a guest finds it."""
        return f"http://{GUEST_VIEW}:{self._port}"

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return self._port

    @property
    def host_url(self) -> str:
        """Where the host finds it."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def data(self) -> Path:
        """The data directory, for ``flipside-server --data``."""
        return self._directory

    def start(self, within: float = 60) -> None:
        """Serve, and wait until it answers."""
        self._directory.mkdir(parents=True, exist_ok=True)
        command = [*_COMMAND, "serve", "--data", str(self._directory)]
        command += ["--listen", f"127.0.0.1:{self._port}", "--poll", self._poll]
        log = self._directory.with_suffix(".log")
        self._running = process.start(command, log)
        deadline = Deadline.after(within)
        while not self._answers():
            if deadline.passed() or not self._running.runs():
                raise HostError(f"the server does not answer: {log.read_text().strip()[-300:]}")
            time.sleep(0.1)  # a port that nobody listens on has no event to wait for

    def kill(self) -> None:
        """Take it away as a crash would."""
        if self._running is not None:
            self._running.end()
            self._running = None

    def stop(self, within: float = 30) -> None:
        """Have it end in order."""
        if self._running is not None:
            os.kill(self._running.pid, signal.SIGTERM)
            self._running.wait(within)
            self.kill()

    def add_target(self, name: str) -> str:
        """Let a device in; its token."""
        return self._run("target", "add", name).strip()

    def add_bundle(self, file: Path, name: str, version: str, metadata: Mapping[str, str]) -> None:
        """Keep a bundle as ``name:version``."""
        pairs = [f"--metadata={key}={value}" for key, value in metadata.items()]
        self._run("artifact", "add", str(file), "--name", name, "--version", version, *pairs)

    def assign(self, target: str, name: str, version: str, *terms: str) -> int:
        """Have a device install it, on these terms (``assign --help``); the action's id."""
        return int(self._run("assign", target, f"{name}:{version}", *terms))

    def cancel(self, action: int) -> None:
        """Ask the device to drop it."""
        self._run("cancel", str(action))

    def belief(self, action: int) -> Belief:
        """What it believes of an action now."""
        found = next(one for one in self.show("actions") if one["id"] == action)
        reports = [status["messages"] for status in found["statuses"]]
        return Belief(
            action=action,
            version=found["version"],
            state=found["state"],
            closed=found["state"] in ("finished", "error", "canceled"),
            messages=tuple(text for report in reports for text in report),
            last_words="; ".join(reports[-1]) if reports else "",
        )

    def attributes(self, target: str) -> dict[str, str]:
        """What a device has said of itself."""
        found = next(one for one in self.show("targets") if one["target"] == target)
        return dict(found["attributes"])

    def show(self, subject: str) -> list[dict[str, Any]]:
        """Everything it knows of a subject."""
        documents: list[dict[str, Any]] = json.loads(self._run("show", subject, "--json"))[subject]
        return documents

    def _run(self, *words: str) -> str:
        command = [*_COMMAND, *words, "--data", str(self._directory)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise HostError(f"flipside-server {words[0]} failed: {done.stderr.strip()}")
        return done.stdout

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
