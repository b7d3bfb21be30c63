"""Boot states as values: which slot goes first, and how often each may still be tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from flipside_bootctl.errors import NothingBootable, UnknownSlot

if TYPE_CHECKING:
    from collections.abc import Mapping


class Slot(NamedTuple):
    """What the boot loader knows about one slot."""

    left: int
    """Attempts left; 0 means that it is not booted; 1 where boots are not counted."""
    confirmed: bool
    """Somebody said it is good. A slot with attempts that is not confirmed is on trial."""


BAD = Slot(left=0, confirmed=False)


PowerCycle = Literal["takes an attempt", "ends the trial", "changes nothing"]


class Capabilities(NamedTuple):
    """What a boot scheme can do and what it asks for."""

    scheme: str
    trial_attempts: int
    """Boots that a freshly selected slot gets to prove itself."""
    confirmed_attempts: int
    """N: boots of a confirmed slot that may end before userspace confirms, before it is left.

    0 where the loader does not count them, and never leaves a confirmed slot.
    """
    confirm_every_boot: bool
    """The loader counts every boot, so userspace owes a confirmation on every boot."""
    try_once: bool = False
    """A trial is one boot beside the stored order, to which the loader returns by itself."""
    power_cycle: PowerCycle = "takes an attempt"
    """What switching the device off during a trial boot does; the loader cannot know a crash."""


class BootState(NamedTuple):
    """The whole boot state of a device with two slots."""

    primary: str
    """Bootname of the slot that was selected last."""
    slots: Mapping[str, Slot]

    def slot(self, name: str) -> Slot:
        """The slot of this bootname."""
        try:
            return self.slots[name]
        except KeyError:
            names = " or ".join(sorted(self.slots))
            raise UnknownSlot(f"{name!r} is not a slot of this device, expected {names}") from None

    def order(self) -> tuple[str, ...]:
        """The slots in the order in which the boot loader tries them."""
        return (self.primary, *sorted(set(self.slots) - {self.primary}))

    def next_slot(self) -> str:
        """The slot that boots next."""
        for name in self.order():
            if self.slot(name).left > 0:
                return name
        raise NothingBootable("no slot has attempts left, so the boot loader decides alone")

    def with_slot(self, name: str, slot: Slot) -> BootState:
        """The same state with one slot changed."""
        self.slot(name)
        return self._replace(slots={**self.slots, name: slot})


def confirmed(caps: Capabilities) -> Slot:
    """A slot that has just been confirmed."""
    return Slot(left=max(caps.confirmed_attempts, 1), confirmed=True)


def select(state: BootState, name: str, caps: Capabilities) -> BootState:
    """Make a slot the next to boot: on trial, unless it was confirmed before and still may boot."""
    slot = state.slot(name)
    if not (slot.confirmed and slot.left > 0):
        slot = Slot(left=caps.trial_attempts, confirmed=False)
    return state.with_slot(name, slot)._replace(primary=name)


def mark_good(state: BootState, name: str, caps: Capabilities) -> BootState:
    """Confirm a slot and give it the full budget of a confirmed one."""
    return state.with_slot(name, confirmed(caps))


def mark_bad(state: BootState, name: str) -> BootState:
    """Take every attempt from a slot; the other one, if it has any, becomes the next to boot."""
    return state.with_slot(name, BAD)
