"""systemd and logind on the message bus: states of units, runs of units, and the reboot."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from flipside_agent.bus import Bus, PeerRefused
from flipside_agent.checks import RunEnd, UnitState
from flipside_agent.errors import DeviceError
from flipside_agent.inbox import Inbox, Peer

SYSTEMD = Peer(
    "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"
)
LOGIND = Peer("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
UNIT = "org.freedesktop.systemd1.Unit"
SERVICE = "org.freedesktop.systemd1.Service"

ALREADY_SUBSCRIBED = "org.freedesktop.systemd1.AlreadySubscribed"
A_WHILE = 3600.0
"""Seconds between two looks for a job's end; who is in a hurry cancels."""

log = logging.getLogger(__name__)


class Units:
    """The units of this device."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def state(self, unit: str) -> UnitState:
        """What systemd says of a unit, loaded for the question if need be."""
        peer = await self._unit(unit, UNIT)
        return UnitState(
            load=str(await self._bus.get(peer, "LoadState")),
            active=str(await self._bus.get(peer, "ActiveState")),
            sub=str(await self._bus.get(peer, "SubState")),
        )

    async def system_state(self) -> str:
        """How far booting has come: ``starting``, ``running``, ``degraded`` ..."""
        return str(await self._bus.get(SYSTEMD, "SystemState"))

    async def failed(self) -> tuple[str, ...]:
        """Names of the failed units."""
        (units,) = await self._call("ListUnitsFiltered", "as", ["failed"])
        return tuple(str(unit[0]) for unit in units)

    async def run(self, unit: str) -> RunEnd:
        """Start a unit and wait until it has ended; if cancelled, the unit is stopped."""
        async with self._bus.listen(SYSTEMD) as inbox:
            await self._subscribe()
            (job,) = await self._call("StartUnit", "ss", unit, "replace")
            try:
                result = await _end_of(inbox, job)
            except asyncio.CancelledError:
                await self._stop(unit)
                raise
        return await self._end(unit, result)

    async def _end(self, unit: str, job: str) -> RunEnd:
        if job == "done":
            return RunEnd(job)
        service = await self._unit(unit, SERVICE)
        invocation = await self._bus.get(await self._unit(unit, UNIT), "InvocationID")
        return RunEnd(
            job=job,
            result=str(await self._bus.get(service, "Result")),
            status=int(await self._bus.get(service, "ExecMainStatus")),
            invocation=bytes(invocation).hex(),
        )

    async def _unit(self, unit: str, interface: str) -> Peer:
        (path,) = await self._call("LoadUnit", "s", unit)
        return Peer(SYSTEMD.name, path, interface)

    async def _subscribe(self) -> None:
        """Ask for signals; without it systemd only tells of jobs to whom it pleases."""
        try:
            await self._bus.call(SYSTEMD, "Subscribe")
        except PeerRefused as error:
            if error.name != ALREADY_SUBSCRIBED:
                raise DeviceError(f"systemd does not tell of its jobs: {error.text}") from error

    async def _stop(self, unit: str) -> None:
        try:
            await self._call("StopUnit", "ss", unit, "replace")
        except DeviceError as error:
            log.warning("%s goes on running: %s", unit, error)

    async def _call(self, member: str, signature: str, *arguments: object) -> list[Any]:
        try:
            return await self._bus.call(SYSTEMD, member, signature, *arguments)
        except PeerRefused as error:
            raise DeviceError(f"systemd refused {member}: {error.text}") from error


class Logind:
    """The device's power switch, as logind guards it."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def reboot(self, reason: str) -> None:
        """Ask for a reboot; services are stopped and file systems unmounted first."""
        log.warning("rebooting: %s", reason)
        try:
            await self._bus.call(LOGIND, "Reboot", "b", False)
        except PeerRefused as error:
            raise DeviceError(
                f"logind refused to reboot: {error.text}; is 50-flipside.rules installed?"
            ) from error


async def _end_of(inbox: Inbox, job: str) -> str:
    while True:
        signal = await inbox.next(A_WHILE)
        if signal and signal.member == "JobRemoved" and signal.body[1] == job:
            return str(signal.body[3])
