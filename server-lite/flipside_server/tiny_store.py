"""The store on TinyDB: one table for each kind of record, indexes in memory."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from tinydb import TinyDB
from tinydb.table import Table

from flipside_server.action import Action, Status
from flipside_server.codec import decode, encode
from flipside_server.log_storage import Change, LogStorage
from flipside_server.software import DistributionSet, SoftwareModule
from flipside_server.store import INDEXED, R, Record
from flipside_server.target import Target

_TABLES: dict[type, str] = {
    Target: "targets",
    SoftwareModule: "software_modules",
    DistributionSet: "distribution_sets",
    Action: "actions",
    Status: "statuses",
}
_IDS = "ids"
"""Table of one document: the last id given to each kind."""


class TinyStore:
    """Records in TinyDB over a storage that appends."""

    def __init__(self, storage: LogStorage) -> None:
        self._storage = storage
        self._db = TinyDB(storage=lambda: storage)
        self._lock = threading.RLock()
        self._ids: dict[str, int] = {}
        self._index: dict[tuple[type, str], dict[object, list[int]]] = {
            (kind, field): defaultdict(list) for kind, names in INDEXED.items() for field in names
        }

    @classmethod
    def open(cls, path: Path) -> TinyStore:
        """The store in this file, which is made if it does not exist."""
        store = cls(LogStorage.open(path))
        store._ids.update(store._db.table(_IDS).get(doc_id=1) or {})
        for kind in INDEXED:
            for document in store._table(kind):
                store._enter(kind, document, document.doc_id)
        return store

    def get(self, kind: type[R], key: int) -> R | None:
        """The record with this id."""
        document = self._table(kind).get(doc_id=key)
        return None if document is None else decode(kind, document)

    def find(self, kind: type[R], field: str, value: object) -> list[R]:
        """The records with that value in an indexed field, oldest first."""
        table = self._table(kind)
        found = (table.get(doc_id=key) for key in self._keys(kind, field, value))
        return [decode(kind, document) for document in found if document is not None]

    def count(self, kind: type[R], field: str, value: object) -> int:
        """How many ``find`` would find."""
        return len(self._keys(kind, field, value))

    def all(self, kind: type[R]) -> Iterator[R]:
        """Every record of the kind, oldest first."""
        with self._lock:
            return iter([decode(kind, document) for document in self._table(kind)])

    def new_id(self, kind: type[R]) -> int:
        """An id that no record of the kind ever had or will have."""
        with self._lock:
            name = _TABLES[kind]
            self._ids[name] = self._ids.get(name, 0) + 1
            return self._ids[name]

    def save(self, *records: Record) -> None:
        """Keep all of them or, raising StorageError, none; on return they survive a power cut."""
        with self._lock:
            changes: list[Change] = [_change(record) for record in records]
            fresh = [one for one in records if self._table(type(one)).get(doc_id=one.id) is None]
            if fresh:
                changes.append((_IDS, "1", dict(self._ids)))
            self._storage.append(changes)
            for record in fresh:
                self._enter(type(record), encode(record), record.id)

    def exclusive(self) -> AbstractContextManager[object]:
        """Keep others from changing anything meanwhile."""
        return self._lock

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _table(self, kind: type) -> Table:
        return self._db.table(_TABLES[kind])

    def _keys(self, kind: type, field: str, value: object) -> list[int]:
        return self._index[kind, field].get(value, [])

    def _enter(self, kind: type, document: dict[str, object], key: int) -> None:
        for field in INDEXED.get(kind, ()):
            self._index[kind, field][document[field]].append(key)


def _change(record: Record) -> Change:
    return _TABLES[type(record)], str(record.id), encode(record)
