"""The boot state that UEFI firmware keeps by itself, as RAUC's ``efi`` backend uses it.

A selected slot is booted once, by ``BootNext``; the firmware forgets that before it starts the
slot, so that whatever ends the trial leads back to ``BootOrder``. A confirmed slot is never left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flipside_bootctl import efi_load_option, efi_order
from flipside_bootctl.efi_order import BootManager
from flipside_bootctl.errors import (
    DamagedState,
    NoScheme,
    NothingBootable,
    StateNotStored,
    UnknownSlot,
)
from flipside_bootctl.state import BAD, BootState, Capabilities

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flipside_bootctl.efi_load_option import LoadOption
    from flipside_bootctl.efivars import EfiVars

ONCE = Capabilities(
    scheme="efi",
    trial_attempts=1,
    confirmed_attempts=0,
    confirm_every_boot=False,
    try_once=True,
    power_cycle="ends the trial",
)
FOR_GOOD = ONCE._replace(try_once=False, power_cycle="changes nothing")
"""RAUC's ``efi-use-bootnext=false``: what is selected goes first in the order, and stays."""


class EfiNative:
    """Boot control through ``BootNext`` and ``BootOrder``."""

    def __init__(
        self, variables: EfiVars, names: Sequence[str], capabilities: Capabilities = ONCE
    ) -> None:
        """Take the firmware's variables, and what the slots' entries are called."""
        self._variables = variables
        self._names = names
        self.capabilities = capabilities

    def read(self) -> BootState:
        """The stored state; raises DamagedState if no slot would be booted."""
        return efi_order.state(self._manager(), self._names)

    def read_or_rebuild(self) -> BootState:
        """The stored state; without one nobody knows what the firmware will find to boot."""
        try:
            return self.read()
        except DamagedState:
            return BootState(self._names[0], dict.fromkeys(self._names, BAD))

    def damage(self) -> str:
        """What of the stored state cannot be read, in one sentence; empty if all can."""
        sentences = [*self._misread(), *efi_order.complaints(self._manager(), self._names)]
        try:
            self.read()
        except DamagedState as error:
            sentences.append(str(error))
        return "; ".join(sentences)

    def select(self, name: str) -> None:
        """Make a slot the next one to boot."""
        manager = self._manager()
        number = self._number(manager, name)
        if self.capabilities.try_once:
            self._store("BootNext", (number,))
        else:
            self._store("BootOrder", manager.first(number))

    def mark_good(self, name: str) -> None:
        """Confirm a slot, which goes first from now on."""
        manager = self._manager()
        self._store("BootOrder", manager.first(self._number(manager, name)))
        if any(self._misread()):
            self._variables.delete("BootNext")

    def mark_bad(self, name: str) -> None:
        """Never boot a slot again until it is selected anew."""
        self._known(name)
        manager = self._manager()
        order = manager.without(name)
        if order != manager.order and not any(
            map(self._names.__contains__, map(manager.label, order))
        ):
            raise NothingBootable(
                f"{name} is the last slot in BootOrder, expected another one there"
            )
        # Cut off in between, it is on trial once more, and not first for good.
        self._store("BootOrder", order)
        if manager.label(manager.next) == name:
            self._variables.delete("BootNext")

    def _number(self, manager: BootManager, name: str) -> int:
        self._known(name)
        for number in manager.numbers(name):
            return number
        raise StateNotStored(f"no active boot entry is called {name}, expected one for this slot")

    def _known(self, name: str) -> None:
        if name not in self._names:
            raise UnknownSlot(
                f"{name!r} is not a slot of this device, expected {' or '.join(self._names)}"
            )

    def _manager(self) -> BootManager:
        """The firmware's variables; those that cannot be read say nothing."""
        try:
            order = self._order()
        except DamagedState:
            order = ()
        try:
            once = self._once()
        except DamagedState:
            once = None
        return BootManager(order, once, entries(self._variables))

    def _order(self) -> tuple[int, ...]:
        return efi_order.numbers(self._variables.read("BootOrder"), "BootOrder")

    def _once(self) -> int | None:
        return efi_order.once(self._variables.read("BootNext"))

    def _misread(self) -> Iterator[str]:
        for read in (self._order, self._once):
            try:
                read()
            except DamagedState as error:
                yield str(error)

    def _store(self, name: str, numbers: Sequence[int]) -> None:
        """Flash wears out: what is so already is not written."""
        value = efi_order.words(numbers)
        if self._variables.read(name) != value:
            self._variables.write(name, value)


def entries(variables: EfiVars) -> dict[int, LoadOption]:
    """The boot entries that can be read, by number."""
    found: dict[int, LoadOption] = {}
    for name in variables.names():
        if not (name.startswith("Boot") and len(name) == len("Boot0000")):
            continue
        try:
            found[int(name[4:], 16)] = efi_load_option.decode(variables.read(name))
        except (DamagedState, ValueError):
            continue
    return found


def booted(variables: EfiVars) -> str:
    """What the entry is called that this system was booted from; empty if nobody knows."""
    try:
        current = efi_order.numbers(variables.read("BootCurrent"), "BootCurrent")
        return entries(variables)[current[0]].description
    except (DamagedState, NoScheme, LookupError):
        return ""
