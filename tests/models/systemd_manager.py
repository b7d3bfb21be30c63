"""systemd and logind as far as the agent talks to them: units with states, jobs with ends.

As seen on systemd 257: a start job answers at once and its end is told by JobRemoved, a failed
unit keeps its result until it is started again, and who may not is refused before anything runs.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from dbus_next.aio.message_bus import MessageBus
from dbus_next.constants import MessageType
from dbus_next.message import Message
from dbus_next.signature import Variant

from flipside_agent.bus import connect, release

SYSTEMD = "org.freedesktop.systemd1"
LOGIND = "org.freedesktop.login1"
MANAGER = "/org/freedesktop/systemd1"
REFUSED = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"


@dataclass
class ModelUnit:
    """A unit, and what comes of starting it."""

    active: str = "inactive"
    sub: str = "dead"
    load: str = "loaded"
    ends: list[tuple[str, int]] = field(default_factory=lambda: [("success", 0)])
    """``Result`` and exit status of each start in turn; the last one for all that follow.

    ``hang`` never ends, ``forbidden`` is refused."""
    runs: int = 0


class SystemdManager:
    """PID 1 and logind, with a power switch."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._link: MessageBus | None = None
        self._jobs = 0
        self.units: dict[str, ModelUnit] = {}
        self.system_state = "running"
        self.may_reboot = True
        self.calls: list[tuple[str, ...]] = []
        """Member and arguments of every call that changes something."""
        self.started = asyncio.Event()
        """Set when a unit was started."""

    async def power_on(self) -> None:
        """Be on the bus."""
        self._link = await connect(self._address)
        self._link.add_message_handler(self._take)
        await self._link.request_name(SYSTEMD)
        await self._link.request_name(LOGIND)

    def power_off(self) -> None:
        """Be gone."""
        assert self._link is not None
        release(self._link)

    def _take(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        handler = getattr(self, f"_on_{message.member.lower()}", None)
        if handler is None:
            return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownMethod", "what?")
        try:
            signature, body = handler(message, *message.body)
        except PermissionError as error:
            return Message.new_error(message, REFUSED, str(error))
        return Message.new_method_return(message, signature, body)

    def _on_subscribe(self, _: Message) -> tuple[str, list[Any]]:
        return "", []

    def _on_loadunit(self, _: Message, name: str) -> tuple[str, list[Any]]:
        self.units.setdefault(name, ModelUnit(load="not-found"))
        return "o", [f"{MANAGER}/unit/_{list(self.units).index(name)}"]

    def _on_listunitsfiltered(self, _: Message, states: list[str]) -> tuple[str, list[Any]]:
        rows = [
            [name, "", unit.load, unit.active, unit.sub, "", "/", 0, "", "/"]
            for name, unit in self.units.items()
            if unit.active in states
        ]
        return "a(ssssssouso)", [rows]

    def _on_get(self, message: Message, interface: str, name: str) -> tuple[str, list[Any]]:
        return "v", [self._property(message.path, interface, name)]

    def _property(self, path: str, interface: str, name: str) -> Variant:
        if path == MANAGER:
            return Variant("s", self.system_state)
        unit = list(self.units.values())[int(path.rpartition("_")[2])]
        result, status = unit.ends[min(unit.runs, len(unit.ends)) - 1]
        if interface.endswith(".Service"):
            return Variant("s", result) if name == "Result" else Variant("i", status)
        return {
            "LoadState": Variant("s", unit.load),
            "ActiveState": Variant("s", unit.active),
            "SubState": Variant("s", unit.sub),
            "InvocationID": Variant("ay", bytes([unit.runs]) * 16),
        }[name]

    def _on_startunit(self, _: Message, name: str, mode: str) -> tuple[str, list[Any]]:
        self.calls.append(("StartUnit", name, mode))
        self.started.set()
        unit = self.units.setdefault(name, ModelUnit())
        result, _status = unit.ends[min(unit.runs, len(unit.ends) - 1)]
        if result == "forbidden":
            raise PermissionError("Interactive authentication required.")
        unit.runs += 1
        self._jobs += 1
        job = f"{MANAGER}/job/{self._jobs}"
        if result != "hang":
            unit.active = "inactive" if result == "success" else "failed"
            asyncio.get_running_loop().call_soon(self._end, job, name, result)
        return "o", [job]

    def _on_stopunit(self, _: Message, name: str, mode: str) -> tuple[str, list[Any]]:
        self.calls.append(("StopUnit", name, mode))
        return "o", [f"{MANAGER}/job/0"]

    def _on_reboot(self, _: Message, interactive: bool) -> tuple[str, list[Any]]:
        if not self.may_reboot:
            raise PermissionError("Operation denied due to active block inhibitor")
        self.calls.append(("Reboot", str(interactive)))
        return "", []

    def _end(self, job: str, name: str, result: str) -> None:
        assert self._link is not None
        ended = "done" if result == "success" else "failed"
        # Somebody else's job ends first, as they do while a system boots.
        for path, unit, how in ((f"{MANAGER}/job/9999", "x.service", "done"), (job, name, ended)):
            body = [int(path.rpartition("/")[2]), path, unit, how]
            interface = f"{SYSTEMD}.Manager"
            self._link.send(Message.new_signal(MANAGER, interface, "JobRemoved", "uoss", body))
