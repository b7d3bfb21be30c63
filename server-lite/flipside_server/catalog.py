"""Where each record lies in the log, and which records have a value: all that is kept in memory.

The records themselves stay on the disk until somebody asks for them.
"""

from __future__ import annotations

from array import array
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flipside_server.log_line import Change, Document
from flipside_server.schema import IDS

Indexed = Mapping[str, tuple[str, ...]]
"""Of each table, the fields by which rows are found. They never change once a row is there."""
Places = dict[str, "array[int]"]
"""Of each table, the place of the row with the id that is the position; 0 if there is none.
Ids are given one after the other, so that this is an eighth of the memory that dicts take."""
_LENGTH_BITS = 28
"""A line is shorter than 256 MiB; a place is one number because a fleet has many."""


def place(offset: int, length: int) -> int:
    """The place of a line in the log, as one number."""
    return offset << _LENGTH_BITS | length


def span(at: int) -> tuple[int, int]:
    """Offset and length of the line at a place."""
    return at >> _LENGTH_BITS, at & (1 << _LENGTH_BITS) - 1


def put_place(places: Places, table: str, key: int, at: int) -> None:
    """Note the place of a row; 0 takes it away."""
    rows = places.setdefault(table, array("Q"))
    if key >= len(rows):
        rows.frombytes(bytes((key + 1 - len(rows)) * rows.itemsize))
    rows[key] = at


class Catalog:
    """The places of all rows, and the indexes over them."""

    def __init__(self, indexed: Indexed) -> None:
        self._indexed = indexed
        self._places: Places = {}
        self._index: dict[tuple[str, str], dict[object, array[int]]] = {
            (table, field): {} for table, fields in indexed.items() for field in fields
        }
        self._gone: dict[str, set[int]] = {}
        """Ids of rows that were taken away and still stand in an index."""
        self._count = 0
        self.last: dict[str, int] = {}
        """The largest id that each table ever had."""
        self.changes = 0
        """Changes in the log, outdated ones included."""

    def __len__(self) -> int:
        return self._count

    def apply(self, changes: Iterable[Change], at: int) -> None:
        """Note the changes that the line at that place makes."""
        for table, key, document in changes:
            self.changes += 1
            if table == IDS:
                self._raise_ids(document or {})
            elif document is not None:
                self._put(table, key, at, document)
            elif self.at(table, key):
                self._places[table][key] = 0
                self._count -= 1
                self._gone.setdefault(table, set()).add(key)

    def at(self, table: str, key: int) -> int:
        """The place of that row; 0 if there is none."""
        rows = self._places.get(table, ())
        return rows[key] if 0 <= key < len(rows) else 0

    def tables(self) -> list[str]:
        """The names of all tables that have rows; a rewritten log knows of no others."""
        return [table for table, rows in self._places.items() if any(rows)]

    def keys(self, table: str) -> list[int]:
        """The ids in a table, oldest first."""
        return [key for key, at in enumerate(self._places.get(table, ())) if at]

    def found(self, table: str, field: str, value: object) -> Sequence[int]:
        """The ids of the rows with that value, oldest first."""
        keys, gone = self._index[table, field].get(value, ()), self._gone.get(table)
        return [key for key in keys if key not in gone] if gone else keys

    def move(self, places: Places, changes: int) -> None:
        """The log was rewritten: so many changes, each row at its new place."""
        self._places = places
        self.changes = changes

    def columns(self) -> Document:
        """Everything, as a few long strings of JSON."""
        for table in list(self._gone):
            self._forget(table)
        return {
            "indexed": _form(self._indexed),
            "last": dict(self.last),
            "changes": self.changes,
            "places": {table: _packed(rows) for table, rows in self._places.items()},
            "index": [
                [table, field, list(values), _packed(_lengths(values)), _packed(_joined(values))]
                for (table, field), values in self._index.items()
            ],
        }

    @classmethod
    def from_columns(cls, indexed: Indexed, columns: Document) -> Catalog | None:
        """The catalog that gave these columns; None if this one would be another."""
        if columns["indexed"] != _form(indexed):
            return None
        made = cls(indexed)
        made.last = columns["last"]
        made.changes = columns["changes"]
        made._places = {table: _unpacked(text) for table, text in columns["places"].items()}
        made._count = sum(len(rows) - rows.count(0) for rows in made._places.values())
        for table, field, values, lengths, keys in columns["index"]:
            made._index[table, field] = _split(values, _unpacked(lengths), _unpacked(keys))
        return made

    def _raise_ids(self, last: Document) -> None:
        for table, key in last.items():
            self.last[table] = max(key, self.last.get(table, 0))

    def _put(self, table: str, key: int, at: int, document: Document) -> None:
        if key in self._gone.get(table, ()):
            self._forget(table)
        if not self.at(table, key):
            self._count += 1
            self._raise_ids({table: key})
            for field in self._indexed.get(table, ()):
                keys = self._index[table, field].setdefault(document.get(field), array("Q"))
                keys.append(key)
        put_place(self._places, table, key, at)

    def _forget(self, table: str) -> None:
        gone = self._gone.pop(table)
        for field in self._indexed.get(table, ()):
            self._index[table, field] = {
                value: rest
                for value, keys in self._index[table, field].items()
                if (rest := array("Q", (key for key in keys if key not in gone)))
            }


def _form(indexed: Indexed) -> list[object]:
    # The order of bytes in a number, too: a directory may be carried to another machine.
    return [array("Q", [1]).tobytes().hex(), {one: list(fields) for one, fields in indexed.items()}]


def _lengths(values: Mapping[object, array[int]]) -> array[int]:
    return array("Q", (len(keys) for keys in values.values()))


def _joined(values: Mapping[object, array[int]]) -> array[int]:
    return array("Q", (key for keys in values.values() for key in keys))


def _split(values: list[Any], lengths: array[int], keys: array[int]) -> dict[object, array[int]]:
    made, begin = {}, 0
    for value, length in zip(values, lengths, strict=True):
        made[value] = keys[begin : begin + length]
        begin += length
    return made


def _packed(numbers: array[int]) -> str:
    return b64encode(numbers.tobytes()).decode()


def _unpacked(text: str) -> array[int]:
    numbers = array("Q")
    numbers.frombytes(b64decode(text))
    return numbers
