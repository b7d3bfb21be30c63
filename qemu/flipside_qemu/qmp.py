"""QEMU's machine protocol, as far as a test bench needs it.

QEMU's own library for it, qemu.qmp, is kept well but lives in asyncio; the harness waits in plain
calls, and what it needs of the protocol are lines of JSON.
"""

from __future__ import annotations

import itertools
import json
import select
import socket
from dataclasses import dataclass, field
from typing import Any

from flipside_qemu.deadline import Deadline, Within
from flipside_qemu.errors import DeadlineError, EmulatorError

_ANSWER = 60.0
"""Seconds an answer may take; saving a machine's memory on a busy host takes some."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the machine, such as RESET, SHUTDOWN or WATCHDOG."""

    name: str
    data: dict[str, Any] = field(default_factory=dict)


class Qmp:
    """A connection to the monitor of one QEMU process."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""
        self._ids = itertools.count(1)
        self._events: list[Event] = []

    def greet(self) -> None:
        """Take QEMU's greeting and leave the mode in which it only negotiates."""
        if self._next(Deadline.after(_ANSWER)) is None:
            raise EmulatorError(f"QEMU did not greet on its monitor within {_ANSWER:.0f} s")
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: object) -> Any:
        """The answer to a command. An underscore in an argument's name stands for QEMU's dash."""
        number = next(self._ids)
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        self._send({"execute": command, "arguments": named, "id": number})
        deadline = Deadline.after(_ANSWER)
        while (message := self._next(deadline)) is not None:
            if message.get("id") != number:
                continue
            if "error" in message:
                reason = message["error"].get("desc", "no reason given")
                raise EmulatorError(f"QEMU refused {command}: {reason}")
            return message["return"]
        raise EmulatorError(f"QEMU did not answer {command} within {_ANSWER:.0f} s")

    def run_job(self, command: str, job: str, **arguments: object) -> None:
        """Start a job, wait until it has ended, and raise if it ended badly."""
        self.execute(command, job_id=job, **arguments)
        ended = {"id": job, "status": "concluded"}
        self.wait_for("JOB_STATUS_CHANGE", within=_ANSWER, **ended)
        errors = [j.get("error") for j in self.execute("query-jobs") if j["id"] == job]
        self.execute("job-dismiss", id=job)
        if any(errors):
            raise EmulatorError(f"QEMU's {command} failed: {errors[0]}")

    def wait_for(self, name: str, within: Within = 60.0, **data: object) -> Event:
        """The next event of this name whose data say so; it and those before it are taken."""
        deadline = Deadline.of(within)
        while True:
            while self._events:
                event = self._events.pop(0)
                if event.name == name and data.items() <= event.data.items():
                    return event
            if self._next(deadline) is None:
                raise DeadlineError(f"QEMU's event {name}", deadline.seconds, "")

    def events(self) -> list[Event]:
        """All events since they were last asked for."""
        while self._next(Deadline.after(0)) is not None:
            continue
        taken, self._events = self._events, []
        return taken

    def close(self) -> None:
        """Hang up. QEMU runs on."""
        self._connection.close()

    def _send(self, message: dict[str, object]) -> None:
        try:
            self._connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise EmulatorError(f"QEMU is gone, it was told {message['execute']}") from error

    def _next(self, deadline: Deadline) -> dict[str, Any] | None:
        """The next message, kept as well if it is an event; None at the deadline."""
        while b"\n" not in self._received:
            if not select.select([self._connection], [], [], deadline.left())[0]:
                return None
            self._receive()
        line, _, self._received = self._received.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        if "event" in message:
            self._events.append(Event(message["event"], message.get("data", {})))
        return message

    def _receive(self) -> None:
        try:
            data = self._connection.recv(65536)
        except OSError as error:
            raise EmulatorError("QEMU is gone, its monitor was reset") from error
        if not data:
            raise EmulatorError("QEMU is gone, its monitor has hung up")
        self._received += data
