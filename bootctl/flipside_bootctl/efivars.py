"""The firmware's variables, as Linux shows them in ``/sys/firmware/efi/efivars``.

Linux, Documentation/filesystems/efivarfs.rst: a file holds four bytes of attributes and the value,
and one write is the whole of both. Most files are immutable, so that nobody removes what a
machine cannot start without; that flag goes while one is changed.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager
from struct import calcsize
from sys import byteorder
from typing import TYPE_CHECKING

from flipside_bootctl import state_file
from flipside_bootctl.errors import NoScheme, StateNotStored

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE = "sys/firmware/efi/efivars"
GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
"""The namespace of ``BootOrder`` and its like."""
_ATTRIBUTES = 4
_LONGEST = 1 << 16
"""Bytes that are read of a variable; firmware has room for hardly more in all."""
_STORED = (7).to_bytes(_ATTRIBUTES, "little")
"""Non-volatile, and visible to the boot loader and the operating system."""
_IMMUTABLE = 0x10
# linux/fs.h; their number carries the size of a long, their argument is an int.
_LONG = calcsize("l") << 16
_GET_FLAGS, _SET_FLAGS = 0x80006601 | _LONG, 0x40006602 | _LONG


class EfiVars:
    """The variables of the global namespace."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        """Take where the machine's file system starts."""
        self._place = os.path.join(root, PLACE)

    def names(self) -> list[str]:
        """All that there are, in order."""
        try:
            files = sorted(os.listdir(self._place))
        except OSError as error:
            raise NoScheme(f"{self._place}: {error.strerror}, expected efivarfs there") from error
        return [file.removesuffix(f"-{GLOBAL}") for file in files if file.endswith(GLOBAL)]

    def read(self, name: str) -> bytes:
        """The value; empty if there is no such variable, or none was ever written."""
        path = self._path(name)
        return state_file.read(path, _LONGEST)[_ATTRIBUTES:] if os.path.exists(path) else b""

    def write(self, name: str, value: bytes) -> None:
        """Store a value that outlasts a power cycle."""
        with self._changed(name) as path:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                if os.write(descriptor, _STORED + value) != _ATTRIBUTES + len(value):
                    raise StateNotStored(f"{path}: written in part, expected all of it")
            finally:
                os.close(descriptor)

    def delete(self, name: str) -> None:
        """Remove a variable, if it is there."""
        with self._changed(name) as path:
            if os.path.exists(path):
                os.unlink(path)

    def _path(self, name: str) -> str:
        return os.path.join(self._place, f"{name}-{GLOBAL}")

    @contextmanager
    def _changed(self, name: str) -> Iterator[str]:
        """The file, and no immutable flag on it for the while."""
        path, flags = self._path(name), 0
        try:
            flags = _flags(path)
            if flags & _IMMUTABLE:
                _set_flags(path, flags & ~_IMMUTABLE)
            yield path
        except OSError as error:
            raise StateNotStored(
                f"{path}: {error.strerror}, expected to write the boot state"
            ) from error
        finally:
            if flags & _IMMUTABLE and os.path.exists(path):
                _set_flags(path, flags)


def _flags(path: str) -> int:
    """Flags of a file; none if it is not there, or its file system has no flags."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return 0
    try:
        flags = bytearray(4)
        fcntl.ioctl(descriptor, _GET_FLAGS, flags)
        return int.from_bytes(flags, byteorder)
    except OSError as error:
        if error.errno in (errno.ENOTTY, errno.EOPNOTSUPP):
            return 0
        raise
    finally:
        os.close(descriptor)


def _set_flags(path: str, flags: int) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, _SET_FLAGS, flags.to_bytes(4, byteorder))
    finally:
        os.close(descriptor)
