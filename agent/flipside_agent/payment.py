"""Pays what is owed: a command becomes a call of a port, and the end of the call an event."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Final, NoReturn, assert_never

from flipside_agent.commands import (
    Activate,
    AwaitNetwork,
    CheckHealth,
    Command,
    Examine,
    Inspect,
    Install,
    MarkBad,
    MarkGood,
    Reboot,
    Report,
)
from flipside_agent.errors import AgentError, DeviceError
from flipside_agent.events import (
    Activated,
    Event,
    Examined,
    Failed,
    Healthy,
    Inspected,
    Installed,
    MarkedBad,
    MarkedGood,
    NetworkReturned,
    Reported,
    Unhealthy,
)
from flipside_agent.ports import Contact, Health, History, Installer, Power, Server

GOING_DOWN: Final = 300.0
"""Seconds that a device may take to go down after it was asked to: services stop, disks flush."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Payment:
    """The ports through which a device pays."""

    installer: Installer
    health: Health
    power: Power
    server: Server
    contact: Contact
    history: History

    async def pay(self, command: Command) -> Event:
        """Carry out a command and say what came of it."""
        try:
            return await self._carry_out(command)
        except AgentError as error:
            return Failed(str(error), error.blame)

    async def _carry_out(self, command: Command) -> Event:
        match command:
            case Inspect(bundle):
                return Inspected(await self.installer.inspect(bundle))
            case Install(bundle, inspection, target):
                await self.installer.install(bundle, inspection, target)
                return Installed()
            case AwaitNetwork(spent):
                await self.contact.regained(spent)
                return NetworkReturned()
            case Examine(slot):
                seen = await self.installer.slot_status(slot)
                return Examined(seen.written, seen.manifest_hash)
            case Activate(slot):
                await self.installer.activate(slot)
                return Activated()
            case Reboot(reason):
                await self._reboot(reason)
            case CheckHealth():
                return await self._check()
            case MarkGood():
                await self.installer.mark_good()
                return MarkedGood()
            case MarkBad(slot):
                await self.installer.mark_bad(slot)
                return MarkedBad()
            case Report():
                await self.report(command)
                return Reported()
        assert_never(command)

    async def _check(self) -> Event:
        seen = await self.health.diagnose()
        return Healthy() if seen.healthy else Unhealthy(seen.check, seen.reason)

    async def _reboot(self, reason: str) -> NoReturn:
        await self.power.reboot(reason)
        await asyncio.sleep(GOING_DOWN)
        raise DeviceError(f"the device is still up {GOING_DOWN:.0f} s after it was asked to reboot")

    async def report(self, command: Report) -> None:
        """Write down and tell how an update ended."""
        await self._note(command)
        # A trial that was begun by hand has no action: nobody waits for its result.
        if command.update.action:
            await self.server.report(command.update, command.outcome)

    async def _note(self, command: Report) -> None:
        """Write it down here first: the server may be gone for long, or not want it any more."""
        try:
            await self.history.note(command.update, command.outcome)
        except AgentError as error:
            # Nobody is kept waiting for the truth because it could not be written down.
            log.warning("the history will not tell of this update: %s", error)
