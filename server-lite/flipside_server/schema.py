"""The versions of the log of records, and the step from each to the next.

A step takes the JSON of one line as the older version wrote it and gives it as the next one would
have.
A new field of a record needs no step: the codec fills it in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flipside_server.log_line import ALL_BEFORE, Document, Entry, content, entry, framed

CURRENT = 2
_KEY = "flipside-server"
Step = Callable[[Any], Any]


def header(name: str) -> bytes:
    """The first line of a log of today; the name tells it from every other log."""
    return framed({_KEY: CURRENT, "log": name})


def schema_of(line: bytes) -> object:
    """What the first line of a log says of its version; None if it is no log."""
    said = content(line)
    return said.get(_KEY) if isinstance(said, dict) else None


def is_readable(schema: object) -> bool:
    """Whether this server reads a log of that version."""
    return isinstance(schema, int) and 1 <= schema <= CURRENT


def read(line: bytes, schema: int) -> Entry | None:
    """What a line of a log of that version says; None if it is damaged."""
    said = content(line)
    if said is None:
        return None
    for version in range(schema, CURRENT):
        said = STEPS[version](said)
    return entry(said)


def _with_flushed(said: Any) -> Any:
    # Version 1 flushed each line before it wrote the next, and spelled ids as strings.
    match said:
        case list(changes):
            return [ALL_BEFORE, *(_with_number(one) for one in changes)]
        case _:
            return None


def _with_number(change: Any) -> Any:
    match change:
        case [table, str(key), document] if key.isdecimal():
            return [table, int(key), document]
        case _:
            return None


STEPS: dict[int, Step] = {1: _with_flushed}
"""From the version in the key to the one after it."""


def ids_change(last: dict[str, int]) -> tuple[str, int, Document]:
    """The change that says which ids were given last."""
    return (IDS, 1, dict(last))


IDS = "ids"
"""Not a table of records: its one row says the last id given in each table."""
