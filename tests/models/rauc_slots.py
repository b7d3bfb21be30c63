"""RAUC as the machine sees it: it writes slots and says how they are.

It does what it was seen to do: it takes the target out, says that the slot is pending, writes, and
says that it is ok. It activates nothing, unless the scenario has somebody meddle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from flipside_agent.errors import (
    AgentError,
    Blame,
    DeviceError,
    NetworkError,
    OperatorError,
    ServerError,
    UpdateError,
)
from flipside_agent.update import Bundle, Inspection, SlotStatus
from flipside_bootctl import counted
from flipside_bootctl.state import mark_bad, mark_good, select
from models.lasting import Image, Slot
from models.power_switch import PowerSwitch
from models.scenario import WANTED, Broken
from models.update_server import UpdateServer

_FAMILIES: Final[dict[Blame, type[AgentError]]] = {
    family.blame: family
    for family in (UpdateError, DeviceError, NetworkError, ServerError, OperatorError)
}


@dataclass(frozen=True, slots=True)
class RaucSlots:
    """The installer port."""

    power: PowerSwitch
    server: UpdateServer

    async def inspect(self, bundle: Bundle) -> Inspection:
        """Read the bundle's signature."""
        self.power.may_fail("inspect")
        self.server.reach()
        if self.power.scenario.refused:
            raise UpdateError("the signature is wrong")
        return Inspection(WANTED, "2", "board", bundle.size, "f" * 64)

    async def install(self, bundle: Bundle, inspection: Inspection, target: str) -> None:
        """Write the target, fetching it from the server in the middle of it."""
        self.power.may_fail("install")
        if target == self.power.here.slot:
            raise Broken("the running slot was to be written")
        if inspection.manifest_hash != WANTED:
            raise Broken("something else was to be installed than what was inspected")
        self.power.store("bad", mark_bad(self.power.now.boot_state(), target))
        old = self.power.now.slot(target).image
        self._write(target, Slot(old, written=False, manifest_hash=""))
        self._write(target, Slot(Image.HALF, written=False, manifest_hash=""))
        self._fetch()
        self._write(target, Slot(Image.NEW, written=False, manifest_hash=""))
        self._write(target, Slot(Image.NEW, written=True, manifest_hash=WANTED))
        if self.power.scenario.meddled:
            await self.activate(target)

    def _fetch(self) -> None:
        self.server.reach()
        if self.power.scenario.spoiled:
            self.power.trace.append("install fails")
            raise _FAMILIES[self.power.scenario.spoiled]("the installation failed")

    def _write(self, name: str, slot: Slot) -> None:
        if self.power.now.slot(name) != slot:
            self.power.effect(f"write {slot.image}", lambda now: now.with_slot(name, slot))

    async def slot_status(self, slot: str) -> SlotStatus:
        """What RAUC remembers of a slot."""
        self.power.may_fail("slot_status")
        seen, state = self.power.now.slot(slot), self.power.now.boot_state()
        return SlotStatus(slot, seen.written, seen.manifest_hash, state.slot(slot).left > 0)

    async def activate(self, slot: str) -> None:
        """Make a slot the next to boot."""
        self.power.may_fail("activate")
        state = self.power.now.boot_state()
        self.power.store("activate", select(state, slot, counted.CAPABILITIES))

    async def mark_good(self) -> None:
        """Confirm the running slot, and then commit to it, as ``GrubCounted.mark_good`` does."""
        self.power.may_fail("mark_good")
        here, now = self.power.here.slot, self.power.now
        before = now.boot_state() if now.readable else now.boot_state()._replace(primary=here)
        state = mark_good(before, here, counted.CAPABILITIES)
        self.power.store("good", state)
        if state.next_slot() == here and now.committed != here:
            self.power.effect("commit", lambda now: replace(now, committed=here))

    async def mark_bad(self, slot: str) -> None:
        """Take a slot out."""
        self.power.may_fail("mark_bad")
        self.power.store("bad", mark_bad(self.power.now.boot_state(), slot))
