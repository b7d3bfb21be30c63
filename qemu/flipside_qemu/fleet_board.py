"""The hardware of a model device, with a RAUC that writes nothing: the agent's installer port,
its health port, its power port and its history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from flipside_agent.address import Address, address_of
from flipside_agent.errors import UpdateError
from flipside_agent.ranges import Range
from flipside_agent.update import Bundle, Diagnosis, Inspection, Outcome, SlotStatus, Update
from flipside_qemu import fleet_world as worlds
from flipside_qemu.fleet_bundle import Manner, Remote, remote
from flipside_qemu.fleet_fate import Dice, Fate, Odds, cut, fate
from flipside_qemu.fleet_request import Caller
from flipside_qemu.fleet_wire import Network
from flipside_qemu.fleet_world import Image


@dataclass(frozen=True, slots=True)
class Nature:
    """What all devices of a fleet have in common."""

    odds: Odds = field(default_factory=Odds)
    boot: float = 20.0
    """Seconds from power-on to the agent, a quarter more or less."""
    check: float = 5.0
    """Seconds that the health checks take, a quarter more or less."""
    link: float = 0.0
    """Bytes per second of a download, a quarter more or less; 0 for as fast as they come."""
    manner: Manner = Manner.AGENT
    poll_factor: float = 1.0
    """The server's polling interval is multiplied by this."""
    version: str = "1"
    """What the devices run at first."""


class Board:
    """One device without its agent."""

    def __init__(self, nature: Nature, dice: Dice, network: Network, caller: Caller) -> None:
        self.world = worlds.fresh(nature.version)
        self.off = asyncio.Event()
        """The power went off; whoever drives the device starts it again."""
        self.action = ""
        """The action that is under way, as the agent sees it."""
        self.tell: Callable[[int, str], None] = _say_nothing
        """Is told how far an installation is: per cent, and of what."""
        self._nature = nature
        self._dice = dice
        self._network = network
        self._caller = caller
        self._updates: dict[str, int] = {}
        """Which update of this device an action is: the first, the second, ..."""
        self._remote: Remote | None = None
        self._spooled = 0
        """Bytes of the bundle that are here and that a cut does not take."""
        self._spared: set[str] = set()
        """Actions whose power cut is behind them."""

    def fate(self, action: str) -> Fate:
        """What becomes of the image that this action brings; good if it never came to that."""
        number = self._updates.get(action)
        return fate(self._nature.odds, self._dice, number) if number else Fate.GOOD

    async def inspect(self, bundle: Bundle) -> Inspection:
        """Look at the bundle; the model's RAUC trusts everybody."""
        if self.action not in self._updates:
            self._updates[self.action] = len(self._updates) + 1
            self._spooled, self._remote = 0, None
        await self._source(bundle).look()
        digest = bundle.manifest_hash or bundle.sha256
        return Inspection(digest, bundle.version, "fleet", bundle.size, "")

    async def install(self, bundle: Bundle, inspection: Inspection, target: str) -> None:
        """Fetch the bundle up to where something happens, if something is to happen."""
        self.world = worlds.begun(self.world, target)
        number, own = self._updates[self.action], self.fate(self.action)
        share = self._dice.roll("fails", number) if own is Fate.FAILING else 1.0
        breaks = self._cut(number)
        if breaks is not None and breaks < share:
            await self._fetch(bundle, int(breaks * bundle.size))
            self._spared.add(self.action)
            await self._go_dark()
        await self._fetch(bundle, int(share * bundle.size))
        if own is Fate.FAILING:
            raise UpdateError("the payload is not what was signed: a block does not fit its hash")
        image = Image(bundle.version, inspection.manifest_hash, own)
        self.world = worlds.written(self.world, target, image)

    async def slot_status(self, slot: str) -> SlotStatus:
        """What RAUC knows of a slot."""
        image, state = self.world.images[slot], self.world.loader.slot(slot)
        written = image is not worlds.NOTHING
        return SlotStatus(slot, written, image.manifest_hash, state.left > 0)

    async def activate(self, slot: str) -> None:
        """Make the slot the next one to boot."""
        self.world = worlds.activated(self.world, slot)

    async def mark_good(self) -> None:
        """Confirm the running slot."""
        self.world = worlds.marked_good(self.world)

    async def mark_bad(self, slot: str) -> None:
        """Make sure that the slot is not booted again."""
        self.world = worlds.marked_bad(self.world, slot)

    async def diagnose(self) -> Diagnosis:
        """Run the health checks of what runs."""
        await asyncio.sleep(self._dice.around(self._nature.check, "check", self.world.starts))
        if self.world.running.fate is Fate.SICK:
            return Diagnosis(False, "application", "the application does not answer")
        return Diagnosis(True)

    async def reboot(self, reason: str) -> None:
        """Go down; whoever asked does not live to see the device up again."""
        await self._go_dark()

    async def note(self, update: Update, outcome: Outcome) -> None:
        """Forget it: the tally of the fleet remembers."""

    async def come_up(self) -> None:
        """Switch on: boot, as often as it takes until something comes up."""
        before = self.world.starts
        self.world = worlds.started(self.world)
        starts = self.world.starts - before
        await asyncio.sleep(starts * self._dice.around(self._nature.boot, "boot", before))
        self.off.clear()

    async def _go_dark(self) -> NoReturn:
        self.off.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody wakes it")

    def _cut(self, number: int) -> float | None:
        """How far this update comes before the power fails, unless that is behind it."""
        spared = self.action in self._spared
        return None if spared else cut(self._nature.odds, self._dice, number)

    async def _fetch(self, bundle: Bundle, stop: int) -> None:
        def came(at: int) -> None:
            self._spooled = at
            self.tell(100 * at // bundle.size, "writing")

        if self._spooled < stop:
            await self._source(bundle).fetch(Range(self._spooled, stop), came)

    def _source(self, bundle: Bundle) -> Remote:
        if self._remote is None:
            link = self._dice.around(self._nature.link, "link")
            place, manner = _place(bundle), self._nature.manner
            self._remote = remote(self._network, self._caller, place, bundle.size, manner, link)
        return self._remote


def _say_nothing(percent: int, step: str) -> None:
    """Nobody listens before the agent has come up."""


def _place(bundle: Bundle) -> Address:
    place = address_of(bundle.url)
    if place is None:
        raise UpdateError("the bundle's address is no plain URL")
    return place
