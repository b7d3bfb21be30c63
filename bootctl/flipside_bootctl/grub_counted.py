"""The boot state of the GRUB device, on its EFI system partition.

Two files: ``boot.env`` is what GRUB counts in; ``commit.env`` names the last committed slot, is
rewritten only when that changes, and is what GRUB falls back on when it cannot read the first.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from flipside_bootctl import counted, grubenv, sector, state, state_file
from flipside_bootctl.errors import DamagedState
from flipside_bootctl.state import BootState, Capabilities

if TYPE_CHECKING:
    from collections.abc import Callable

DIRECTORY = "flipside"


class GrubCounted:
    """Boot control through the counted environment of ``bootctl/grub/grub.cfg``."""

    def __init__(self, esp: str | os.PathLike[str]) -> None:
        """Take the path at which the EFI system partition is mounted."""
        self.boot_env = os.path.join(esp, DIRECTORY, "boot.env")
        self.commit_env = os.path.join(esp, DIRECTORY, "commit.env")

    @property
    def capabilities(self) -> Capabilities:
        """Three boots on trial, nine for a confirmed slot, each boot to be confirmed."""
        return counted.CAPABILITIES

    def read(self) -> BootState:
        """The stored state; raises DamagedState if it cannot be read."""
        return counted.from_variables(_load(self.boot_env))

    def damage(self) -> str:
        """What of the stored state cannot be read, in one sentence; empty if all can."""
        return "; ".join(filter(None, (_complaint(self.read), _complaint(self._read_commit))))

    def committed(self) -> str:
        """The last committed slot, as grub.cfg takes it: A unless the file says B."""
        return self._committed_or("A")

    def select(self, name: str) -> None:
        """Make a slot the next one to boot."""
        self._store(state.select(self.read_or_rebuild(), name, self.capabilities))

    def mark_good(self, name: str) -> None:
        """Confirm a slot; a confirmed slot that boots next is also the committed one."""
        new = state.mark_good(self._read_for(name), name, self.capabilities)
        self._store(new)
        if new.next_slot() == name:
            self._commit(name)

    def mark_bad(self, name: str) -> None:
        """Never boot a slot again until it is selected anew."""
        self._store(state.mark_bad(self.read_or_rebuild(), name))

    def create(self, name: str) -> None:
        """Write a fresh boot state in which only this slot is bootable, and confirmed."""
        from flipside_bootctl import flushed

        counted.rebuilt(name).slot(name)
        flushed.make_directory(os.path.dirname(self.boot_env))
        self._commit(name)
        self._store(counted.rebuilt(name))

    def read_or_rebuild(self) -> BootState:
        """The stored state, or, where that is damaged, the one that grub.cfg acts upon."""
        try:
            return self.read()
        except DamagedState:
            return counted.rebuilt(self.committed())

    def _read_for(self, name: str) -> BootState:
        """The state in which a slot is to be confirmed; after damage, that slot goes first.

        It falls back on the committed one, but only if the commit file can be read: that GRUB
        would take A says nothing about what is in A.
        """
        try:
            return self.read()
        except DamagedState:
            return counted.rebuilt(self._committed_or(name))._replace(primary=name)

    def _committed_or(self, name: str) -> str:
        try:
            return self._read_commit()
        except DamagedState:
            return name

    def _read_commit(self) -> str:
        name = _load(self.commit_env).get("committed", "")
        if name not in counted.NAMES:
            raise DamagedState(f"{self.commit_env}: committed is {name!r}, expected A or B")
        return name

    def _store(self, new: BootState) -> None:
        block = grubenv.encode(counted.to_variables(new))
        if _content(self.boot_env) != block:
            sector.store(self.boot_env, block)

    def _commit(self, name: str) -> None:
        block = grubenv.encode({"committed": name})
        if _content(self.commit_env) != block:
            sector.store(self.commit_env, block)


def _complaint(reader: Callable[[], object]) -> str:
    try:
        reader()
    except DamagedState as error:
        return str(error)
    return ""


def _content(path: str) -> bytes:
    """What the file holds; nothing if it cannot be read, because then it is to be written."""
    try:
        return state_file.read(path, grubenv.SIZE)
    except DamagedState:
        return b""


def _load(path: str) -> dict[str, str]:
    block = state_file.read(path, grubenv.SIZE)
    try:
        return grubenv.decode(block)
    except DamagedState as error:
        raise DamagedState(f"{path}: {error}") from error
