"""Files and block devices with boot state, read with suspicion: anything may be in their place.

What is missing, or is something else, is damage, and the boot loader finds no more than we do. What
only this user may not read says nothing of what the boot loader will do.
"""

from __future__ import annotations

import os

from flipside_bootctl.errors import DamagedState, StateWithheld


def read(path: str, longest: int) -> bytes:
    """All of a file that has at most so many bytes; raises DamagedState or StateWithheld."""
    content = read_at(path, 0, longest + 1)
    if len(content) > longest:
        raise DamagedState(f"{path}: too long, expected at most {longest} bytes")
    return content


def read_at(path: str, offset: int, size: int) -> bytes:
    """So many bytes from there on, or fewer where it ends; see :func:`start_of`."""
    try:
        # A pipe is not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return os.pread(descriptor, size, start_of(descriptor, offset))
        finally:
            os.close(descriptor)
    except PermissionError as error:
        raise StateWithheld(f"{path}: {error.strerror}, expected to be run by root") from error
    except OSError as error:
        raise DamagedState(f"{path}: {error.strerror}") from error


def start_of(descriptor: int, offset: int) -> int:
    """Where an offset is; a negative one counts from the end."""
    return offset + (os.lseek(descriptor, 0, os.SEEK_END) if offset < 0 else 0)
