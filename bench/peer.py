"""What is measured side by side: a server, what it is filled with, and its process."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

GATEWAY = "gateway-token-of-the-benchmark"
BUSY = 64
"""Devices with the small file to install; one more has the large one."""
_PATIENCE = 60


@dataclass(frozen=True, slots=True)
class Plan:
    """What every server is filled with."""

    targets: int
    small: int
    """Bytes of the file that the busy devices have to install."""
    large: int

    def names(self) -> list[str]:
        """The devices; the first ones are busy."""
        return [f"bench-{number:06d}" for number in range(self.targets)]


def releases(plan: Plan) -> list[tuple[str, int, list[str]]]:
    """Version, size and devices of each file; every device can stand in for another."""
    names = plan.names()
    busy, last = names[:BUSY], names[BUSY : BUSY + 1]
    return [("1.0.0", plan.small, busy), ("2.0.0", plan.large, last)]


class Peer(Protocol):
    """A server to measure."""

    name: str

    def start(self) -> float:
        """Start it; seconds until it answered."""

    def stop(self) -> None: ...

    @property
    def url(self) -> str: ...

    @property
    def pid(self) -> int: ...

    def authorization(self, device: str) -> str:
        """The header of a device that the server knows."""

    def newcomer(self) -> str:
        """The header of a device that it does not know; empty if it lets everybody in."""


class Started:
    """A server that we start ourselves, as a command that works in a folder."""

    def __init__(
        self, folder: Path, port: int, command: list[str], environment: Mapping[str, str]
    ) -> None:
        self._folder = folder
        self._port = port
        self._command = command
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process, or of the one above its workers."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> float:
        """Start it; seconds until it took a connection."""
        begun = time.perf_counter()
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, stdout=log, stderr=log, env=self._environment
            )
        while not _answers(self._port):
            if self._process.poll() is not None or time.perf_counter() - begun > _PATIENCE:
                raise SystemExit(f"{self._command[0]} did not start: see {self._folder / 'log'}")
            time.sleep(0.005)  # a port that nobody listens on has no event to wait for
        return time.perf_counter() - begun

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_PATIENCE)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
