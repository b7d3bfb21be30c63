"""What is measured side by side: a server, what it is filled with, and its process."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

MIB = 1 << 20
GATEWAY = "gateway-token-of-the-benchmark"
BUSY = 64
"""Devices with the small file to install; one more has the large one."""
_PATIENCE = 300
"""Seconds, for a machine that others keep busy."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What every server is filled with."""

    stem: str
    """With what all names begin; no other plan's do."""
    targets: int
    small: int
    """Bytes of the file that the busy devices have to install."""
    large: int

    def names(self) -> list[str]:
        """The devices; the first ones are busy."""
        return [f"{self.stem}-{number:06d}" for number in range(self.targets)]


def releases(plan: Plan) -> list[tuple[str, int, list[str]]]:
    """Version, size and devices of each file; every device can stand in for another."""
    names = plan.names()
    busy, last = names[:BUSY], names[BUSY : BUSY + 1]
    return [("1.0.0", plan.small, busy), ("2.0.0", plan.large, last)]


class Peer(Protocol):
    """A server to measure."""

    name: str

    def start(self) -> float:
        """Start it; seconds until it answered, 0 if it runs already."""

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
        self,
        folder: Path,
        port: int,
        command: list[str],
        environment: Mapping[str, str],
        *,
        tls: bool = False,
    ) -> None:
        self._folder = folder
        self._port = port
        self._command = command
        self._tls = tls
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process, or of the one above its workers."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> float:
        """Start it; seconds until it answered a request."""
        begun = time.perf_counter()
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, stdout=log, stderr=log, env=self._environment
            )
        while not _answers(self._port, tls=self._tls):
            if self._process.poll() is not None or time.perf_counter() - begun > _PATIENCE:
                said = (self._folder / "log").read_text(errors="replace")[-2000:]
                raise SystemExit(f"{self._command[0]} did not start:\n{said}")
            time.sleep(0.005)  # a port that nobody listens on has no event to wait for
        return time.perf_counter() - begun

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_PATIENCE)


def _answers(port: int, *, tls: bool) -> bool:
    """Whether it says anything to a request, be it that there is no such page."""
    try:
        with socket.create_connection(("127.0.0.1", port), _PATIENCE) as plain:
            wire = _unverified().wrap_socket(plain) if tls else plain
            wire.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            return bool(wire.recv(1))
    except OSError:
        return False


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
