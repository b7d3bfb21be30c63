"""A TinyDB storage that appends: what was acknowledged survives kill -9 and a power cut.

TinyDB's own JSONStorage overwrites its file in place and costs more with every document.
Here a write is one line at the end of a log (:mod:`flipside_server.log_line`), whatever the size
of the rest, and threads that wait for the disk share a flush.
When most lines are outdated, the log is written anew beside itself and renamed into place; the
others write on meanwhile.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tinydb.storages import Storage

from flipside_server.catalog import Catalog, Indexed
from flipside_server.compaction import NewLog, compact
from flipside_server.errors import StorageError
from flipside_server.index_file import keep_index
from flipside_server.log_file import LogFile, Mark, flush_directory
from flipside_server.log_line import Change, Document
from flipside_server.recovery import recovered
from flipside_server.schema import CURRENT

Tables = Mapping[str, Mapping[str, Document]]

_SLACK = 10_000
"""Outdated changes that never cause a rewrite, so that a small log is left alone."""
_STEP = 10_000
"""Changes after which the index is written anew: what a start has to read line by line."""
_log = logging.getLogger(__name__)


class Rows(Mapping[str, Document]):
    """A table as TinyDB wants it: documents by the text of their id, read when asked for."""

    def __init__(self, storage: LogStorage, table: str) -> None:
        self._storage = storage
        self._table = table

    def __getitem__(self, key: str) -> Document:
        found = self._storage.document(self._table, int(key))
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[str]:
        return (str(key) for key in self._storage.keys(self._table))

    def __len__(self) -> int:
        return len(self._storage.keys(self._table))


class LogStorage(Storage):
    """The places of all rows in memory, the rows themselves in a log."""

    def __init__(self, log: LogFile, catalog: Catalog) -> None:
        self._log = log
        self._catalog = catalog
        self._indexed_at = catalog.changes
        self._keeper: threading.Thread | None = None
        self._rewriting = threading.Lock()

    @classmethod
    def open(cls, path: Path, indexed: Indexed | None = None) -> LogStorage:
        """The storage in this file, which is made if it does not exist."""
        try:
            if not path.exists():
                begin(path)
            found = recovered(path, indexed or {})
        except OSError as error:
            raise StorageError(f"cannot open {path}: {error.strerror}") from error
        storage = cls(LogFile(path, found.extent), found.catalog)
        if found.extent.schema != CURRENT:
            storage._migrate(found.extent.schema)
        return storage

    def read(self) -> dict[str, Any]:
        """All tables; their documents are read when asked for."""
        return {table: Rows(self, table) for table in self._catalog.tables()}

    def write(self, data: Tables) -> None:
        """Make everything so; TinyDB's own way, at the cost of reading the whole log."""
        known: Tables = self.read()
        changes: list[Change] = []
        for table in known.keys() | data.keys():
            old, new = known.get(table, {}), data.get(table, {})
            changes += [(table, int(key), None) for key in old.keys() - new.keys()]
            changes += [(table, int(key), new[key]) for key in new if old.get(key) != new[key]]
        if changes:
            self.append(changes)
            self.settle(self.mark())

    def append(self, changes: list[Change]) -> None:
        """Make these changes, all or none; seen at once, durable after ``settle``."""
        with self._log.turn:
            at = self._log.append(changes)
            self._catalog.apply(changes, at)
            if self._catalog.changes - self._indexed_at >= _STEP:
                self._keep_house()

    def mark(self) -> Mark:
        """Everything that was appended until now."""
        return self._log.mark()

    def settle(self, mark: Mark) -> None:
        """Return when everything up to the mark survives a power cut."""
        self._log.settle(mark)

    @property
    def sound(self) -> bool:
        """Whether the disk has kept its word; if not, nothing more is written."""
        return self._log.sound

    def document(self, table: str, key: int) -> Document | None:
        """The row with that id, as it is on the disk."""
        with self._log.turn:
            at = self._catalog.at(table, key)
            return self._log.entry(at).document(table, key) if at else None

    def keys(self, table: str) -> list[int]:
        """The ids in a table, oldest first."""
        return self._catalog.keys(table)

    def found(self, table: str, field: str, value: object) -> Sequence[int]:
        """The ids of the rows with that value, oldest first."""
        return self._catalog.found(table, field, value)

    def last_id(self, table: str) -> int:
        """The largest id that a row of the table ever had."""
        return self._catalog.last.get(table, 0)

    def last_ids(self) -> dict[str, int]:
        """The largest id ever of each table, those included that have lost all their rows."""
        with self._log.turn:
            return dict(self._catalog.last)

    def close(self) -> None:
        """Let go of the file, and leave an index for a quick start."""
        keeper = self._keeper
        if keeper is not None:
            keeper.join()
        if self.sound and self._catalog.changes != self._indexed_at:
            self._index()
        self._log.close()

    def compact(self) -> None:
        """Write the log anew without what is outdated."""
        try:
            with self._rewriting:
                compact(self._log, self._catalog)
        except (OSError, StorageError) as error:
            # Every acknowledged write is safe: in the old file, or in both.
            _log.warning("cannot rewrite %s now: %s", self._log.path, error)

    def _migrate(self, schema: int) -> None:
        path = self._log.path
        older = path.with_name(f"{path.name}.schema-{schema}")
        try:
            older.unlink(missing_ok=True)
            older.hardlink_to(path)
        except OSError as error:
            raise StorageError(f"cannot keep the older {path}: {error.strerror}") from error
        self.compact()
        if self._log.extent.schema != CURRENT:
            raise StorageError(
                f"cannot bring {path} from schema {schema} to {CURRENT}: make room for as much "
                "again, and start anew"
            )
        _log.info("brought %s to schema %d; %s is as it was", path, CURRENT, older.name)

    def _keep_house(self) -> None:
        if self._keeper is None or not self._keeper.is_alive():
            self._indexed_at = self._catalog.changes
            self._keeper = threading.Thread(target=self._tidy, name="store")
            self._keeper.start()

    def _tidy(self) -> None:
        if self._catalog.changes > _SLACK + 2 * len(self._catalog):
            self.compact()
        self._index()

    def _index(self) -> None:
        try:
            self.settle(self.mark())
            with self._log.turn:
                extent, columns = self._log.extent, self._catalog.columns()
                mark, self._indexed_at = self.mark(), self._catalog.changes
            self.settle(mark)
            keep_index(self._log.path, extent, columns)
        except (OSError, StorageError) as error:
            _log.warning("cannot keep the index of %s: %s", self._log.path, error)


def begin(path: Path) -> None:
    """Make an empty log."""
    new = NewLog.begun(path.with_name(path.name + ".new"), {})
    try:
        extent = new.flushed()
        new.path.replace(path)
        flush_directory(path.parent)
    except OSError:
        new.discard()
        raise
    os.close(extent.file)
