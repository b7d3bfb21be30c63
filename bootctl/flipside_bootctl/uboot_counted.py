"""The boot state of a board with U-Boot, in U-Boot's own environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flipside_bootctl import boot_order, state
from flipside_bootctl.errors import DamagedState
from flipside_bootctl.state import BootState, Capabilities

if TYPE_CHECKING:
    from flipside_bootctl.uboot_storage import UbootStorage


class UbootCounted:
    """Boot control through the variables ``BOOT_ORDER`` and ``BOOT_x_LEFT``.

    Each change is one write of all variables, and atomic where there are two copies of the
    environment. With one copy a cut may leave none, and U-Boot begins with its built-in one.
    """

    def __init__(self, storage: UbootStorage) -> None:
        """Take where the environment lies."""
        self._storage = storage

    @property
    def capabilities(self) -> Capabilities:
        """Three boots on trial, nine for a confirmed slot, each boot to be confirmed."""
        return boot_order.CAPABILITIES

    def read(self) -> BootState:
        """The stored state; raises DamagedState if it cannot be read."""
        return boot_order.from_variables(self._storage.read())

    def read_or_rebuild(self) -> BootState:
        """The stored state, or, where that is damaged, the one that the boot script begins with."""
        try:
            return self.read()
        except DamagedState:
            return boot_order.at_first()

    def damage(self) -> str:
        """What of the stored state cannot be read, in one sentence; empty if all can."""
        complaint = self._storage.damage()
        try:
            self.read()
        except DamagedState as error:
            complaint = complaint or str(error)
        return complaint

    def select(self, name: str) -> None:
        """Make a slot the next one to boot."""
        self._store(state.select(self.read_or_rebuild(), name, self.capabilities))

    def mark_good(self, name: str) -> None:
        """Confirm a slot; after damage it also goes first."""
        try:
            before = self.read()
        except DamagedState:
            before = boot_order.at_first()._replace(primary=name)
        self._store(state.mark_good(before, name, self.capabilities))

    def mark_bad(self, name: str) -> None:
        """Never boot a slot again until it is selected anew."""
        self._store(state.mark_bad(self.read_or_rebuild(), name))

    def _store(self, new: BootState) -> None:
        self._storage.write(boot_order.to_variables(new))
