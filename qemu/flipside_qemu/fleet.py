"""A fleet of model devices at one server: switched on one after the other, watched to the end."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from flipside_agent.address import Address
from flipside_agent.errors import AgentError
from flipside_qemu.fleet_board import Nature
from flipside_qemu.fleet_device import Device
from flipside_qemu.fleet_ending import Ending, unrecorded
from flipside_qemu.fleet_request import caller
from flipside_qemu.fleet_tally import Tally
from flipside_qemu.fleet_wire import Network


@dataclass(frozen=True, slots=True)
class Server:
    """Where the devices report."""

    address: Address
    tenant: str = "DEFAULT"
    tls: ssl.SSLContext | None = None
    """For https; None for the system's authorities."""
    kept: bool = False
    """Connections are kept; our agent makes a new one for each request."""
    at_once: int = 256
    """Short requests under way at the same time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to be."""

    nature: Nature = field(default_factory=Nature)
    seed: int = 1
    ramp: float = 5.0
    """Seconds over which the devices are switched on."""
    updates: int = 0
    """The run ends once each device has ended so many; 0 for no such end."""
    duration: float | None = None
    """Seconds after which it ends in any case."""
    ask: bool = False
    """At the end the server is asked what it holds of each update."""


class Fleet:
    """All devices of one run."""

    def __init__(self, server: Server, plan: Plan, credentials: Mapping[str, str]) -> None:
        """``credentials`` has the value of the Authorization header for each device."""
        self.tally = Tally(plan.updates)
        self.size = len(credentials)
        self._server = server
        self._plan = plan
        self._credentials = credentials

    async def run(self) -> list[str]:
        """Let it live; what went otherwise than it had to, one sentence each."""
        network = Network(self.tally, asyncio.Semaphore(self._server.at_once), self._server.tls)
        devices = [self._device(network, *entry) for entry in self._credentials.items()]
        async with asyncio.TaskGroup() as group:
            lives = [
                group.create_task(device.live(self._plan.ramp * number / len(devices)))
                for number, device in enumerate(devices)
            ]
            await self._end()
            for life in lives:
                life.cancel()
        flaws = [*self.tally.contradictions(), *self._late(devices)]
        return flaws + (await self._unrecorded(devices) if self._plan.ask else [])

    def _device(self, network: Network, name: str, authorization: str) -> Device:
        server, plan = self._server, self._plan
        own = caller(server.address, server.tenant, name, authorization, kept=server.kept)
        return Device(name, plan.nature, plan.seed, network, own)

    async def _end(self) -> None:
        """Wait for the goal, the end of the time, or a signal, whichever comes first."""
        goal = asyncio.create_task(self._goal())
        try:
            with _told_to_stop(goal.cancel):
                await asyncio.wait((goal,), timeout=self._plan.duration)
        finally:
            goal.cancel()

    async def _goal(self) -> None:
        while not self.tally.goal or self.tally.arrived < self.size:
            self.tally.news.clear()
            await self.tally.news.wait()

    def _late(self, devices: Sequence[Device]) -> list[str]:
        """Devices that have not ended what they had to end."""
        goal, ended_by = self._plan.updates, self.tally.ended_by
        return [
            f"{device.name}: ended {ended_by(device.name)} of {goal} updates,"
            f" and is {self.tally.places[device.name]}"
            for device in devices
            if ended_by(device.name) < goal
        ]

    async def _unrecorded(self, devices: Sequence[Device]) -> list[str]:
        by_name = {device.name: device for device in devices}
        found = await asyncio.gather(
            *(_asked(by_name[ending.device], ending) for ending in self.tally.endings.values())
        )
        return [flaw for flaw in found if flaw]


async def _asked(device: Device, ending: Ending) -> str:
    try:
        return unrecorded(ending, await device.dialogue.recorded(ending.update.action))
    except AgentError as error:
        return f"{ending.device}, action {ending.update.action}: {error}"
    finally:
        device.wire.close()


@contextmanager
def _told_to_stop(stop: Callable[[], object]) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the run as if its time were over, so that its figures are told."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
