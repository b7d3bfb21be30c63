"""GRUB's environment block where others keep variables too.

``grub-editenv`` truncates the file before it writes, and a power cut then leaves a device that
starts over for ever (docs/power-cuts.md). Here the boot state goes to the front of the block, and
the sector that it lies in is overwritten in place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from flipside_bootctl import grubenv, sector, state_file
from flipside_bootctl.errors import DamagedState, StateNotStored

if TYPE_CHECKING:
    from collections.abc import Mapping


class GrubEnvironment:
    """A ``grubenv`` file."""

    def __init__(self, path: str) -> None:
        """Take its path."""
        self._path = path

    def read(self) -> Mapping[str, str]:
        """The variables; raises DamagedState where GRUB would not read them either."""
        block = self._block()
        try:
            return grubenv.decode(block)
        except DamagedState as error:
            raise DamagedState(f"{self._path}: {error}") from error

    def damage(self) -> str:
        """What of it cannot be read, in one sentence; empty if all can."""
        try:
            self.read()
        except DamagedState as error:
            return str(error)
        return ""

    def write(self, changes: Mapping[str, str]) -> None:
        """Change these variables, all or none of them; damage is mended with these alone."""
        try:
            before: Mapping[str, str] = self.read()
        except DamagedState:
            sector.store(self._path, self._encoded(changes))
            return
        if all(before.get(name) == value for name, value in changes.items()):
            return
        block = self._encoded({**changes, **{n: v for n, v in before.items() if n not in changes}})
        # The second sector, which is others' or padding, goes first if it changes at all.
        between = grubenv.decode(self._block()[: grubenv.SECTOR] + block[grubenv.SECTOR :])
        if any(between.get(name) != before.get(name) for name in changes):
            self._refuse("the boot state lies in two sectors")
        sector.store(self._path, block)

    def _encoded(self, variables: Mapping[str, str]) -> bytes:
        try:
            return grubenv.encode(variables, room=grubenv.SIZE)
        except ValueError as error:
            self._refuse(str(error), error)

    def _refuse(self, reason: str, cause: Exception | None = None) -> NoReturn:
        raise StateNotStored(
            f"{self._path}: {reason}, expected room for the boot state in the first"
        ) from cause

    def _block(self) -> bytes:
        return state_file.read(self._path, grubenv.SIZE)
