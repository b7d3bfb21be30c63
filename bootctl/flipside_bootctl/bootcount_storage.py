"""U-Boot's environment, and beside it the file in which U-Boot counts boots."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from flipside_bootctl import bootcount_file, state_file
from flipside_bootctl.bootcount import number
from flipside_bootctl.bootcount_file import Bootcount
from flipside_bootctl.errors import DamagedState, StateLocked, StateNotStored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flipside_bootctl.loader_environment import Storage


class BootcountStorage:
    """An environment whose ``bootcount`` and ``upgrade_available`` lie in a file."""

    def __init__(self, environment: Storage, path: str) -> None:
        """Take where all other variables lie, and the file."""
        self._environment = environment
        self._path = path

    def read(self) -> Mapping[str, str]:
        """All variables; where the file says nothing, U-Boot takes it for no boots, counted."""
        try:
            stored = self._count()
        except DamagedState:
            stored = Bootcount(0, counting=True)
        return {**self._environment.read(), **_variables(stored)}

    def damage(self) -> str:
        """What of it cannot be read, in one sentence; empty if all can."""
        complaint = self._environment.damage()
        try:
            self._count()
        except DamagedState as error:
            complaint = "; ".join(filter(None, (complaint, str(error))))
        return complaint

    def write(self, changes: Mapping[str, str]) -> None:
        """Change these variables; in between, nothing that is on trial is booted uncounted."""
        boots = min(number(changes, "bootcount"), bootcount_file.LARGEST)
        wanted = Bootcount(boots, number(changes, "upgrade_available") != 0)
        others = {name: value for name, value in changes.items() if name not in _variables(wanted)}
        if wanted.counting:
            self._write_counted(wanted, others)
        else:
            self._environment.write(others)
            self._store(wanted)

    def _write_counted(self, wanted: Bootcount, others: Mapping[str, str]) -> None:
        """Count first; but what was not even begun leaves a confirmed slot uncounted."""
        before = self._count_or(wanted)
        self._store(wanted)
        try:
            self._environment.write(others)
        except (DamagedState, StateLocked):
            self._store(before)
            raise

    def _count_or(self, other: Bootcount) -> Bootcount:
        try:
            return self._count()
        except DamagedState:
            return other

    def _count(self) -> Bootcount:
        block = state_file.read(self._path, bootcount_file.LONGEST)
        try:
            return bootcount_file.decode(block)
        except DamagedState as error:
            raise DamagedState(f"{self._path}: {error}") from error

    def _store(self, wanted: Bootcount) -> None:
        block = bootcount_file.encode(wanted)
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                if os.pread(descriptor, len(block) + 1, 0) != block:
                    os.pwrite(descriptor, block, 0)
                    os.ftruncate(descriptor, len(block))
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StateNotStored(
                f"{self._path}: {error.strerror}, expected to write the boot count"
            ) from error


def _variables(stored: Bootcount) -> dict[str, str]:
    return {"bootcount": str(stored.boots), "upgrade_available": str(int(stored.counting))}
