"""U-Boot's environment in files and on block devices, beside the tools that everybody has.

Two copies take turns: what is written goes to the copy that does not count, and counts once it is
whole. A single copy is overwritten in place, sector by sector where anything changes: cut off in
between, its checksum is wrong and U-Boot takes its built-in environment.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from flipside_bootctl import state_file, uboot_env
from flipside_bootctl.errors import DamagedState, NoScheme, StateLocked, StateNotStored
from flipside_bootctl.uboot_env import Copy, Turns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flipside_bootctl.fw_env_config import Area

LOCKS = ("run/fw_printenv.lock", "var/lock/fw_printenv.lock")
"""U-Boot's own fw_setenv takes the first, libubootenv's the second."""
PATIENCE = 5
"""Seconds for which somebody else may keep the environment."""
_PAUSE = 0.05
_SECTOR = 512


class UbootStorage:
    """The one or two copies of the environment of one board."""

    def __init__(self, areas: Sequence[Area], root: str | os.PathLike[str]) -> None:
        """Take the areas, whose paths are below ``root``, as the locks are."""
        self._areas = areas
        self._root = root

    def read(self) -> Mapping[str, str]:
        """The variables; raises DamagedState where U-Boot would fall back on its built-in ones."""
        copies = self._copies()
        return copies[self._current(copies)].variables

    def damage(self) -> str:
        """What of it cannot be read, in one sentence; empty if all can."""
        return "; ".join(filter(None, map(self._complaint, self._areas)))

    def write(self, changes: Mapping[str, str]) -> None:
        """Change these variables, all or none of them where there are two copies."""
        with self._locked():
            copies = self._copies()
            at = self._current(copies)
            wanted = {**copies[at].variables, **changes}
            if wanted == copies[at].variables:
                return
            copy = copies[at]._replace(variables=wanted)
            if copy.flag is None:
                self._store(self._areas[at], copy)
            else:
                flag = uboot_env.following(copy.flag, Turns.INCREMENTAL)
                self._store(self._areas[1 - at], copy._replace(flag=flag))

    def _copies(self) -> dict[int, Copy]:
        """The copies that are whole, by number."""
        copies: dict[int, Copy] = {}
        for number, area in enumerate(self._areas):
            try:
                copies[number] = self._copy(area)
            except DamagedState:
                continue
        return copies

    def _current(self, copies: Mapping[int, Copy]) -> int:
        """The number of the copy that counts."""
        if not copies:
            raise DamagedState(self.damage())
        if len(copies) == 1:
            return next(iter(copies))
        first, second = (copies[number].flag or 0 for number in (0, 1))
        return uboot_env.current(first, second, Turns.INCREMENTAL)

    def _copy(self, area: Area) -> Copy:
        path = self._path(area)
        block = state_file.read_at(path, area.offset, area.size)
        if len(block) != area.size:
            raise DamagedState(f"{path}: ends within the environment of {area.size} bytes")
        try:
            return uboot_env.decode(block, redundant=len(self._areas) == 2)
        except DamagedState as error:
            raise DamagedState(f"{path}: {error}") from error

    def _complaint(self, area: Area) -> str:
        try:
            self._copy(area)
        except DamagedState as error:
            return str(error)
        return ""

    def _store(self, area: Area, copy: Copy) -> None:
        path, block = self._path(area), uboot_env.encode(copy, area.size)
        try:
            descriptor = os.open(path, os.O_RDWR)
            try:
                _overwrite(descriptor, state_file.start_of(descriptor, area.offset), block)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StateNotStored(f"{path}: {error.strerror}, expected to write there") from error

    def _path(self, area: Area) -> str:
        path = os.path.join(self._root, area.path.lstrip("/"))
        if _is_flash(path, area.path):
            raise NoScheme(
                f"{path}: raw flash and UBI are not read or written here, "
                "expected a file or a block device"
            )
        return path

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep out both families of ``fw_setenv``."""
        with ExitStack() as stack:
            for name in LOCKS:
                descriptor = _lock_file(os.path.join(self._root, name))
                if descriptor is not None:
                    stack.callback(os.close, descriptor)
                    self._wait_for(descriptor, name)
            yield

    def _wait_for(self, descriptor: int, name: str) -> None:
        """Lock a file that anybody may hold; nobody who means well holds it for long."""
        for _ in range(round(PATIENCE / _PAUSE)):
            try:
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_PAUSE)  # flock(2) knows no time-out
        raise StateLocked(
            f"{os.path.join(self._root, name)}: locked by another program for {PATIENCE} s, "
            "expected it to be done with the environment"
        )


def _is_flash(path: str, name: str) -> bool:
    """Whether it is a character device, or, where nothing is there, called like flash."""
    try:
        return stat.S_ISCHR(os.stat(path).st_mode)
    except OSError:
        kind = name.removeprefix("/dev/")
        return kind.startswith(("mtd", "ubi")) and not kind.startswith("mtdblock")


def _overwrite(descriptor: int, start: int, block: bytes) -> None:
    before = os.pread(descriptor, len(block), start)
    for at in range(0, len(block), _SECTOR):
        piece = block[at : at + _SECTOR]
        if before[at : at + _SECTOR] != piece:
            os.pwrite(descriptor, piece, start + at)
    os.fsync(descriptor)


def _lock_file(path: str) -> int | None:
    """An open lock file; None where its directory does not exist, so that nobody else has one.

    ``/run/lock`` is everybody's: nothing is followed, and a file that is there is not made.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StateNotStored(f"{path}: {error.strerror}, expected a lock file") from error
    try:
        return os.open(path, flags | os.O_CREAT, 0o644)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateNotStored(f"{path}: {error.strerror}, expected a lock file") from error
