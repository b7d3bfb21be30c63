"""Copies of files that are whole or not there at all."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from flipside_server.errors import StorageError, StorageFullError
from flipside_server.log_file import NO_ROOM, flush_directory

_BLOCK = 1 << 20


def copied(source: Path, target: Path, size: int | None = None) -> str:
    """Copy a file, or so many bytes of it; the SHA-256 of what was copied.

    The copy has its name only when it is whole and on the disk.
    """
    with whole(target) as copy, _opened(source) as stream:
        return _poured(stream, copy, size)


@contextmanager
def whole(target: Path) -> Iterator[BinaryIO]:
    """A file to write, which gets its name at the end, flushed; an error leaves none."""
    beside = target.with_name(target.name + ".new")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _made(beside) as copy:
            yield copy
            copy.flush()
            os.fsync(copy.fileno())
        beside.replace(target)
        flush_directory(target.parent)
    except OSError as error:
        beside.unlink(missing_ok=True)
        family = StorageFullError if error.errno in NO_ROOM else StorageError
        raise family(f"cannot write {target}: {error.strerror or error}") from error
    except StorageError:
        beside.unlink(missing_ok=True)
        raise


def _made(path: Path) -> BinaryIO:
    return os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb"
    )


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error


def _poured(source: BinaryIO, target: BinaryIO, size: int | None) -> str:
    digest = hashlib.sha256()
    left = -1 if size is None else size
    while left and (block := _read(source, _BLOCK if left < 0 else min(left, _BLOCK))):
        target.write(block)
        digest.update(block)
        left -= len(block) if left > 0 else 0
    return digest.hexdigest()


def _read(source: BinaryIO, size: int) -> bytes:
    try:
        return source.read(size)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise StorageError(f"{source.name} cannot be read: {error.strerror}") from error
