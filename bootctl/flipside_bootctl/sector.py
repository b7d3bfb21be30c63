"""Files that fit in one disk sector: overwritten in place, whole or not at all.

A boot loader finds such a file by the blocks it lay in, so it is never truncated and never
replaced by another file while it has its right size.
"""

from __future__ import annotations

import os

from flipside_bootctl.errors import StateNotStored
from flipside_bootctl.grubenv import SECTOR, SIZE


def store(path: str, block: bytes) -> None:
    """Store a block of which only the first sector carries meaning, and flush it to the disk."""
    try:
        if _has_size(path):
            _overwrite(path, block)
        else:
            _create(path, block)
    except OSError as error:
        raise StateNotStored(
            f"{path}: {error.strerror}, expected to write the boot state"
        ) from error


def _has_size(path: str) -> bool:
    return os.path.isfile(path) and os.path.getsize(path) == SIZE


def _overwrite(path: str, block: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        # The second sector is padding. It differs only if somebody damaged it, and is then
        # mended first: the meaning changes with the last write, in one sector.
        if os.pread(descriptor, SIZE - SECTOR, SECTOR) != block[SECTOR:]:
            os.pwrite(descriptor, block[SECTOR:], SECTOR)
            os.fsync(descriptor)
        os.pwrite(descriptor, block[:SECTOR], 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create(path: str, block: bytes) -> None:
    """Only a missing or damaged file comes this way; the loader meanwhile uses the commit file."""
    beside = f"{path}.new"
    try:
        with open(beside, "wb") as file:
            file.write(block)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError:
        if os.path.isfile(beside):
            os.unlink(beside)
        raise
    directory = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
