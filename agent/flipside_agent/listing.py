"""The history as ``flipside-agent history`` shows it: to programs, and to people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from flipside_agent.history import Entry

NOTHING: Final = "No update has ended on this device yet."
_INDENT: Final = " " * 4


def as_json(entries: Sequence[Entry]) -> str:
    """An array of objects, oldest first, an entry a line."""
    lines = (json.dumps(entry.document()) for entry in entries)
    return "[" + ",\n ".join(lines) + "]"


def as_table(entries: Sequence[Entry], *, verbose: bool) -> str:
    """A line for each entry, the newest last, where a person looks first."""
    if not entries:
        return NOTHING
    rows = [_cells(entry) for entry in entries]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        line
        for entry, row in zip(entries, rows, strict=True)
        for line in (_line(row, widths), *(_details(entry) if verbose else ()))
    )


def _cells(entry: Entry) -> tuple[str, ...]:
    return (
        entry.when.replace("T", " ").replace("Z", " UTC"),
        f"action {entry.action}" if entry.action else "by hand",
        f"{entry.replaced or '?'} -> {entry.version or '?'}",
        entry.slot,
        entry.verdict,
        entry.reason if not entry.check else f"{entry.check}: {entry.reason}",
    )


def _line(row: tuple[str, ...], widths: Sequence[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return "  ".join(cells).rstrip()


def _details(entry: Entry) -> Iterator[str]:
    return (f"{_INDENT}{line}" for line in entry.journal)
