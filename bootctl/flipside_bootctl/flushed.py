"""Files on a FAT partition, of which a power cut leaves the old or the new.

Every step is flushed before the next one begins: on FAT, ``syncfs`` does not flush the disk's own
cache, and only ``fsync`` does. A new name comes about by a rename within one directory, which is
one write while both names lie in one sector. It is the name of an empty file until the file itself
is flushed: where a file begins and how long it is belongs to the file, not to the directory
(Linux, fs/fat/namei_vfat.c; seen in the write log of a device with 6.12).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from flipside_bootctl.errors import StateNotStored

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

CHUNK = 1 << 20


def is_temporary(file: str) -> bool:
    """Whether a name is one that was to be renamed. Upper case takes one entry, lower case two."""
    return file.startswith("NEW") and file.endswith(".TMP")


def write(directory: str, files: Mapping[str, str]) -> None:
    """Write files of a directory anew; not one cluster is given back before all are written."""
    try:
        beside = {file: _beside(directory, text) for file, text in files.items()}
        for file, path in beside.items():
            target = os.path.join(directory, file)
            os.replace(path, target)
            _sync(target)
            _sync(directory)
    except OSError as error:
        raise StateNotStored(f"{directory}: {error.strerror}, expected to write there") from error


def remove(directory: str, files: Sequence[str]) -> None:
    """Remove files of a directory, after what stands for them is there to stay."""
    if not files:
        return
    settle(directory)
    try:
        for file in files:
            os.unlink(os.path.join(directory, file))
            _sync(directory)
    except OSError as error:
        raise StateNotStored(f"{directory}: {error.strerror}, expected to delete there") from error


def settle(directory: str) -> None:
    """Flush a directory and its files: whoever changed them may have died before that."""
    try:
        for file in os.listdir(directory):
            _sync(os.path.join(directory, file))
        _sync(directory)
    except OSError as error:
        raise StateNotStored(f"{directory}: {error.strerror}, expected to flush it") from error


def make_directory(path: str) -> None:
    """Make a directory, and those that it lies in."""
    if os.path.isdir(path):
        return
    make_directory(os.path.dirname(path))
    try:
        os.mkdir(path)
        _sync(os.path.dirname(path))
    except OSError as error:
        raise StateNotStored(f"{path}: {error.strerror}, expected to make it") from error


def keep_only(directory: str, paths: Collection[str]) -> None:
    """Remove from a directory every file but these."""
    names = {os.path.basename(path) for path in paths}
    remove(directory, [file for file in os.listdir(directory) if file not in names])


def same(source: str, target: str) -> bool:
    """Whether two files hold the same; false if either cannot be read."""
    try:
        if os.path.getsize(source) != os.path.getsize(target):
            return False
        with open(source, "rb") as one, open(target, "rb") as other:
            while block := one.read(CHUNK):
                if block != other.read(CHUNK):
                    return False
    except OSError:
        return False
    return True


def copy(source: str, target: str) -> None:
    """Copy a file that nobody uses meanwhile, and read it back from the disk."""
    try:
        if not same(source, target):
            _copy(source, target)
        # Also a copy that was there already: whoever made it may have died before it was flushed.
        _flush(target)
        _sync(os.path.dirname(target))
    except OSError as error:
        raise StateNotStored(f"{target}: {error.strerror}, expected a copy of {source}") from error
    if not same(source, target):
        raise StateNotStored(f"{target}: differs from {source}, expected to read what was written")


def _copy(source: str, target: str) -> None:
    with open(source, "rb") as file:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            while block := file.read(CHUNK):
                _write(descriptor, block)
        finally:
            os.close(descriptor)


def _flush(path: str) -> None:
    """Flush a file and forget what memory holds of it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _beside(directory: str, text: str) -> str:
    """A flushed file with this text, under a name that nothing has."""
    number = 0
    while os.path.lexists(path := os.path.join(directory, f"NEW{number}.TMP")):
        number += 1
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        _write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return path


def _write(descriptor: int, block: bytes) -> None:
    while block:
        block = block[os.write(descriptor, block) :]


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
