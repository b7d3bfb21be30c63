"""Writes a log anew without what is outdated, while others go on writing to the old one.

The lines are copied in their order. A change counts if its row lies in that very line: one that is
replaced meanwhile is replaced by a line further on, which is still to be copied.
"""

from __future__ import annotations

import os
import secrets
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from flipside_server.catalog import Catalog, Places, place, put_place
from flipside_server.errors import StorageError
from flipside_server.log_file import Extent, LogFile, write_at
from flipside_server.log_line import ALL_BEFORE, Change, written
from flipside_server.schema import IDS, header, ids_change, read

_BLOCK = 1 << 18
_FEW = 1 << 16
"""Bytes that are copied while others wait."""


def compact(log: LogFile, catalog: Catalog) -> None:
    """Put in the log's place one without what is outdated; the old one stays if that fails."""
    with ExitStack() as stack:
        new = NewLog.begun(log.path.with_name(log.path.name + ".new"), catalog.last)
        stack.callback(new.discard)
        offset = log.first_line
        # Each round has less to do than the one before.
        for _ in range(5):
            begin, offset = offset, _copy(log, catalog, new, offset)
            new.flushed()
            if offset - begin < _FEW:
                break
        with log.still():
            _copy(log, catalog, new, offset)
            log.replace(new.path, new.flushed())
            catalog.move(new.places, new.changes)
        stack.pop_all()


def _copy(log: LogFile, catalog: Catalog, new: NewLog, begin: int) -> int:
    """Copy what counts from there to the end of today; that end."""
    extent = log.extent
    for offset, line in _lines(log.path, begin, extent.size):
        entry = read(line, extent.schema)
        if entry is None:
            raise StorageError(f"{log.path} was damaged at byte {offset} while the server ran")
        at = place(offset, len(line))
        new.keep([one for one in entry.changes if _counts(one, at, catalog, new)])
    return extent.size


def _counts(change: Change, at: int, catalog: Catalog, new: NewLog) -> bool:
    table, key, document = change
    if document is None:
        return new.has(table, key)
    return table != IDS and catalog.at(table, key) == at


def _lines(path: Path, offset: int, end: int) -> Iterator[tuple[int, bytes]]:
    # Opened for each round: what was read ahead of the end would be outdated.
    with path.open("rb") as stream:
        stream.seek(offset)
        while offset < end:
            line = stream.readline()
            yield offset, line
            offset += len(line)


class NewLog:
    """A log in the making, beside the one that it is to replace."""

    def __init__(self, path: Path, file: int) -> None:
        self.path = path
        self.places: Places = {}
        """Where each row lies in it."""
        self.changes = 0
        self._file = file
        self._pending = bytearray()
        self._written = 0
        self._crc = 0

    @classmethod
    def begun(cls, beside: Path, last: dict[str, int]) -> NewLog:
        """An empty log that knows which ids were given last."""
        file = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        made = cls(beside, file)
        made._add(header(secrets.token_hex(8)))
        made._add(written(ALL_BEFORE, [ids_change(last)]))
        return made

    def has(self, table: str, key: int) -> bool:
        """Whether the row was kept."""
        rows = self.places.get(table, ())
        return key < len(rows) and rows[key] > 0

    def keep(self, changes: list[Change]) -> None:
        """Write these changes, if there are any, as a line of a log that is flushed as a whole."""
        if not changes:
            return
        line = written(ALL_BEFORE, changes)
        at = place(self._size, len(line))
        for table, key, document in changes:
            put_place(self.places, table, key, 0 if document is None else at)
        self._add(line)
        self.changes += len(changes)

    def flushed(self) -> Extent:
        """What was written, on the disk."""
        self._write()
        os.fsync(self._file)
        return Extent(self._file, self._written, self._crc)

    def discard(self) -> None:
        """Give it up."""
        os.close(self._file)
        with suppress(FileNotFoundError):
            self.path.unlink()

    @property
    def _size(self) -> int:
        return self._written + len(self._pending)

    def _add(self, line: bytes) -> None:
        self._pending += line
        self._crc = zlib.crc32(line, self._crc)
        if len(self._pending) >= _BLOCK:
            self._write()

    def _write(self) -> None:
        write_at(self._file, bytes(self._pending), self._written)
        self._written += len(self._pending)
        self._pending.clear()
