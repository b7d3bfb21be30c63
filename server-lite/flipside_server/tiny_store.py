"""The store on TinyDB: one table for each kind of record; what is asked for often stays decoded."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from tinydb import TinyDB
from tinydb.table import Table

from flipside_server.action import Action, Status
from flipside_server.codec import decode, encode
from flipside_server.log_line import Change
from flipside_server.log_storage import LogStorage
from flipside_server.note import Note
from flipside_server.software import DistributionSet, SoftwareModule
from flipside_server.store import INDEXED, R, Record
from flipside_server.target import Target

TABLES: dict[type, str] = {
    Target: "targets",
    SoftwareModule: "software_modules",
    DistributionSet: "distribution_sets",
    Action: "actions",
    Status: "statuses",
    Note: "notes",
}
INDEXED_TABLES = {TABLES[kind]: fields for kind, fields in INDEXED.items()}
_ON_DISK = (Status, Note)
"""Kinds that are many and seldom asked for: never kept in memory."""


class TinyStore:
    """Records in TinyDB over a storage that appends."""

    def __init__(self, storage: LogStorage) -> None:
        self._storage = storage
        self._db = TinyDB(storage=lambda: storage)
        self._lock = threading.RLock()
        self._depth = 0
        """How many ``exclusive`` of the thread that holds the lock are within each other."""
        self._ids: dict[type, int] = {}
        """The last id given to each kind."""
        self._known: dict[type, dict[int, Any]] = {kind: {} for kind in TABLES}
        """Decoded records by kind and id; None for one that was dropped.
        Every save puts the newest here, so that a slow reader never leaves an older one behind."""

    @classmethod
    def open(cls, path: Path) -> TinyStore:
        """The store in this file, which is made if it does not exist."""
        return cls(LogStorage.open(path, INDEXED_TABLES))

    @property
    def sound(self) -> bool:
        """Whether the disk has kept its word; if not, every save is refused."""
        return self._storage.sound

    def get(self, kind: type[R], key: int) -> R | None:
        """The record with this id."""
        known: dict[int, R | None] = self._known[kind]
        if key in known:
            return known[key]
        document = self._table(kind).get(doc_id=key)
        if document is None:
            return None
        found = decode(kind, document)
        return found if kind in _ON_DISK else known.setdefault(key, found)

    def find(self, kind: type[R], field: str, value: object) -> list[R]:
        """The records with that value in an indexed field, oldest first."""
        keys = self._storage.found(TABLES[kind], field, value)
        return [record for key in keys if (record := self.get(kind, key)) is not None]

    def count(self, kind: type[R], field: str, value: object) -> int:
        """How many ``find`` would find."""
        return len(self._storage.found(TABLES[kind], field, value))

    def all(self, kind: type[R]) -> Iterator[R]:
        """Every record of the kind, oldest first."""
        with self.exclusive():
            keys = self._storage.keys(TABLES[kind])
        return (record for key in keys if (record := self.get(kind, key)) is not None)

    def first(self, kind: type[R]) -> int | None:
        """The id of the oldest record of the kind; None if there is none."""
        return next(iter(self._storage.keys(TABLES[kind])), None)

    def new_id(self, kind: type[R]) -> int:
        """An id that no record of the kind ever had or will have."""
        with self._lock:
            last = self._ids.get(kind) or self._storage.last_id(TABLES[kind])
            self._ids[kind] = last + 1
            return last + 1

    def save(self, *records: Record, without: Iterable[Record] = ()) -> None:
        """Keep and drop all of them or, raising StorageError, none."""
        gone = list(without)
        changes: list[Change] = [(_name(one), one.id, encode(one)) for one in records]
        changes += [(_name(one), one.id, None) for one in gone]
        with self.exclusive():
            self._storage.append(changes)
            for one in records:
                if not isinstance(one, _ON_DISK):
                    self._known[type(one)][one.id] = one
            for one in gone:
                if isinstance(one, _ON_DISK):
                    continue
                self._known[type(one)][one.id] = None

    def exclusive(self) -> AbstractContextManager[object]:
        """Keep others from changing anything meanwhile; leave when what was saved is durable."""
        return self._alone()

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        outermost = False
        try:
            with self._lock:
                outermost = not self._depth
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
                    mark = self._storage.mark()
        finally:
            # Without the lock, so that the next thread can write while the disk is waited for;
            # after a refusal too, which may rest on what another thread saved just before.
            if outermost:
                self._storage.settle(mark)

    def _table(self, kind: type) -> Table:
        return self._db.table(TABLES[kind])


def _name(record: Record) -> str:
    return TABLES[type(record)]
