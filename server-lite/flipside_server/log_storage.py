"""A TinyDB storage that appends: what was acknowledged survives kill -9 and a power cut.

TinyDB's own JSONStorage overwrites its file in place and costs more with every document.
Here one file holds everything, a line for each write: CRC-32, a space, JSON, a line feed.
A line is a list of changes ``[table, id, document]`` that count together or not at all.
It is flushed to the disk before the write returns, so a cut can damage the last line only,
and that one was never acknowledged: it is dropped on opening.
Damage anywhere else is no power cut's work and is refused.
When most lines are outdated, the file is rewritten beside itself and renamed into place.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tinydb.storages import Storage

from flipside_server.errors import StorageError, StorageFullError

Document = dict[str, Any]
Tables = dict[str, dict[str, Document]]
Change = tuple[str, str, Document]

SCHEMA = 1
_HEADER = {"flipside-server": SCHEMA}
_SLACK = 10_000
"""Outdated changes that never cause a rewrite, so that a small file is left alone."""
_BEGINNING = re.compile(rb"(?=[0-9a-f]{8} \[)")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_log = logging.getLogger(__name__)


class LogStorage(Storage):
    """The tables in memory, every change of them on disk first."""

    def __init__(self, path: Path, file: int, tables: Tables, size: int, changes: int) -> None:
        self._path = path
        self._file = file
        self._tables = tables
        self._size = size
        self._changes = changes
        self._sound = True

    @classmethod
    def open(cls, path: Path) -> LogStorage:
        """The storage in this file, which is made if it does not exist."""
        try:
            if not path.exists():
                os.close(_rewrite(path, {}))
                _flush_directory(path.parent)
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            tables, size, changes = _load(path)
            if size < os.fstat(file).st_size:
                _log.warning("dropped a torn, unacknowledged write at the end of %s", path)
                os.ftruncate(file, size)
                os.fsync(file)
        except OSError as error:
            raise StorageError(f"cannot open {path}: {error.strerror}") from error
        return cls(path, file, tables, size, changes)

    def read(self) -> Tables:
        """The live tables; only ``append`` and ``write`` may change them."""
        return self._tables

    def append(self, changes: list[Change]) -> None:
        """Make these changes, all or none; on return they are on the disk."""
        if not self._sound:
            raise StorageError(f"{self._path} failed earlier: restart the server to read it anew")
        line = _line(changes)
        self._put(line)
        self._size += len(line)
        _apply(self._tables, changes)
        self._changes += len(changes)
        if self._changes > _SLACK + 2 * sum(len(table) for table in self._tables.values()):
            self._compact()

    def write(self, data: Tables) -> None:
        """Replace everything; TinyDB's own way, at the cost of the whole file."""
        file = _rewrite(self._path, data)
        os.close(self._file)
        self._file, self._tables = file, data
        self._size = os.fstat(file).st_size
        self._changes = sum(len(table) for table in data.values())
        # Until the new name is on the disk, a cut may bring back the file without later writes.
        self._sound = False
        _flush_directory(self._path.parent)
        self._sound = True

    def close(self) -> None:
        """Nothing to flush: every write was."""
        os.close(self._file)

    def _put(self, line: bytes) -> None:
        try:
            _write_at(self._file, line, self._size)
        except OSError as error:
            self._take_back()
            family = StorageFullError if error.errno in _NO_ROOM else StorageError
            raise family(
                f"cannot write to {self._path}: {error.strerror}; nothing was changed"
            ) from error
        try:
            os.fdatasync(self._file)
        except OSError as error:
            # After a failed flush nobody knows what is on the disk; a second one may lie.
            self._sound = False
            raise StorageError(f"cannot flush {self._path}: {error.strerror}") from error

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            self._sound = False

    def _compact(self) -> None:
        try:
            self.write(self._tables)
        except OSError as error:
            # The write that led here is safe: in the old file, or in both.
            self._changes = 0
            _log.warning("cannot rewrite %s now: %s", self._path, error.strerror)


def _line(content: object) -> bytes:
    text = json.dumps(content, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _parsed(line: bytes) -> Any:
    """What the line says, or None if it is damaged."""
    crc, _, text = line.removesuffix(b"\n").partition(b" ")
    if not line.endswith(b"\n") or crc != b"%08x" % zlib.crc32(text):
        return None
    return json.loads(text)


def _apply(tables: Tables, changes: list[Change]) -> None:
    for table, key, document in changes:
        tables.setdefault(table, {})[key] = document


def _load(path: Path) -> tuple[Tables, int, int]:
    tables: Tables = {}
    size = count = 0
    with path.open("rb") as file:
        _check_header(path, header := file.readline())
        size = len(header)
        for line in file:
            changes = _parsed(line)
            if changes is None:
                _check_torn(path, size)
                break
            _apply(tables, changes)
            size += len(line)
            count += len(changes)
    return tables, size, count


def _check_header(path: Path, line: bytes) -> None:
    header = _parsed(line)
    if not isinstance(header, dict) or "flipside-server" not in header:
        raise StorageError(f"{path} is not a store of flipside-server: its first line says not so")
    if header["flipside-server"] != SCHEMA:
        raise StorageError(
            f"{path} has schema {header['flipside-server']}, this server reads {SCHEMA}: "
            "use the version that wrote it"
        )


def _check_torn(path: Path, offset: int) -> None:
    with path.open("rb") as file:
        file.seek(offset)
        tail = file.read()
    # Sought at every place, not only after line feeds: a line feed can be what was damaged.
    for beginning in _BEGINNING.finditer(tail):
        line = tail[beginning.start() : tail.find(b"\n", beginning.end()) + 1]
        if _parsed(line) is not None:
            raise StorageError(
                f"{path} is damaged at byte {offset}, in the middle, which no power cut does: "
                "restore it from a backup"
            )


def _write_at(file: int, data: bytes, offset: int) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(file, data[done:], offset + done)


def _rewrite(path: Path, tables: Tables) -> int:
    """Put a file with these tables in the place of the old one; the new file, open."""
    beside = path.with_name(path.name + ".new")
    file = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        offset = 0
        for line in _lines(tables):
            _write_at(file, line, offset)
            offset += len(line)
        os.fsync(file)
        beside.replace(path)
    except OSError:
        os.close(file)
        with suppress(FileNotFoundError):
            beside.unlink()
        raise
    return file


def _lines(tables: Tables) -> Iterator[bytes]:
    yield _line(_HEADER)
    for table, documents in tables.items():
        for key, document in documents.items():
            yield _line([(table, key, document)])


def _flush_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
