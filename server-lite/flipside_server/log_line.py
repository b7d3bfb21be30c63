"""One line of the log of records: changes that count together, and what guards them.

A line is a CRC-32 in eight hex digits, a space, JSON, and a line feed.
The JSON is ``[FLUSHED, [TABLE, ID, DOCUMENT], ...]``; ``null`` as document takes the row away.
FLUSHED is the number of bytes of the file that were on the disk when the line was written, so
that a line which outlives a damaged one tells whether a power cut can have done that.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]
Change = tuple[str, int, Document | None]
"""Table, id, and the document that is to stand there; None to take it away."""

ALL_BEFORE = -1
"""FLUSHED of a line before which everything was on the disk, however much that is."""
_BEGINNING = re.compile(rb"(?=[0-9a-f]{8} \[)")


@dataclass(frozen=True, slots=True)
class Entry:
    """What a line says."""

    flushed: int
    """Bytes, or ALL_BEFORE."""
    changes: list[Change]

    def document(self, table: str, key: int) -> Document | None:
        """What the line makes of that row."""
        found = (
            new for name, number, new in reversed(self.changes) if (name, number) == (table, key)
        )
        return next(found, None)

    def vouches_for(self, offset: int) -> bool:
        """Whether the byte there was on the disk before this line was written."""
        return self.flushed == ALL_BEFORE or self.flushed > offset


def framed(content: object) -> bytes:
    """The line with this JSON."""
    text = json.dumps(content, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def written(flushed: int, changes: Iterable[Change]) -> bytes:
    """The line that makes these changes."""
    return framed([flushed, *changes])


def content(line: bytes) -> Any:
    """The JSON of a line, or None if it is damaged."""
    crc, _, text = line[:-1].partition(b" ")
    if line[-1:] != b"\n" or crc != b"%08x" % zlib.crc32(text):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def entry(said: Any) -> Entry | None:
    """What the JSON of a line says; None if that is nothing a line can say."""
    match said:
        case [int(flushed), *changes] if all(_is_change(one) for one in changes):
            return Entry(flushed, [(table, key, new) for table, key, new in changes])
        case _:
            return None


def _is_change(said: Any) -> bool:
    match said:
        case [str(), int(), dict() | None]:
            return True
        case _:
            return False


def lines_within(tail: bytes) -> Iterable[bytes]:
    """Every whole line in there, wherever it begins: a line feed can be what was damaged."""
    for beginning in _BEGINNING.finditer(tail):
        yield tail[beginning.start() : tail.find(b"\n", beginning.end()) + 1]
