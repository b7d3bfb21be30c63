"""A look at a log that changes nothing: what is whole, what is not, and what can be saved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from flipside_server.catalog import Catalog, Indexed, place
from flipside_server.errors import StorageError
from flipside_server.index_file import read_index
from flipside_server.log_line import Entry, lines_within
from flipside_server.recovery import checked_schema
from flipside_server.schema import CURRENT, read, schema_of


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a log that say nothing any more."""

    offset: int
    size: int


@dataclass
class Survey:
    """What was found in a log."""

    catalog: Catalog
    size: int = 0
    """Bytes up to the first damage, or to the end."""
    bytes: int = 0
    """All of them, but for the room that was taken ahead."""
    damages: list[Damage] = field(default_factory=list)
    harmed: bool = False
    """Something was damaged that had been on the disk; else a cut tore what nobody was promised."""
    entries: int = 0
    """Whole lines."""

    @property
    def torn(self) -> bool:
        """A cut tore the end, or a write is under way; nothing is lost."""
        return bool(self.damages) and not self.harmed


def surveyed(path: Path, indexed: Indexed) -> Survey:
    """What is in a log."""
    found = Survey(Catalog(indexed))
    found.size = found.bytes = _header_size(path)
    for offset, line, entry in entries(path):
        if entry is None:
            found.damages.append(Damage(offset, len(line)))
            continue
        if found.damages and entry.vouches_for(found.damages[0].offset):
            found.harmed = True
        found.entries += 1
        found.catalog.apply(entry.changes, place(offset, len(line)))
        found.bytes = offset + len(line)
        found.size = found.bytes if not found.damages else found.size
    flushed = _flushed(path, indexed)
    if found.size < flushed:
        found.harmed = True
        if not found.damages:
            found.damages.append(Damage(found.size, flushed - found.size))
    return found


def _header_size(path: Path) -> int:
    with path.open("rb") as stream:
        return len(stream.readline())


def _flushed(path: Path, indexed: Indexed) -> int:
    """How much of the log was on the disk for certain."""
    with path.open("rb") as stream:
        return read_index(path, stream.fileno(), stream.readline(), indexed).size


def entries(path: Path) -> Iterator[tuple[int, bytes, Entry | None]]:
    """Every line below the header with its offset and what it says; None where it is damaged."""
    try:
        with path.open("rb") as stream:
            header = stream.readline()
            schema = _schema(path, header)
            offset = len(header)
            if schema_of(header) is None:
                yield 0, header, None
            for line in stream:
                yield from _within(line, offset, schema)
                offset += len(line)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error


def _schema(path: Path, header: bytes) -> int:
    schema = schema_of(header)
    if schema is not None:
        return checked_schema(path, header)
    # Only the header may be damaged: what follows tells whether the file is ours.
    with path.open("rb") as stream:
        if not any(read(line, CURRENT) for line in stream):
            checked_schema(path, header)
    return CURRENT


def _within(line: bytes, offset: int, schema: int) -> Iterator[tuple[int, bytes, Entry | None]]:
    entry = read(line, schema)
    if entry is not None:
        yield offset, line, entry
    elif line.strip(b"\0"):
        yield offset, line, None
        # The line feed before a whole line may be what was damaged.
        for inner in lines_within(line[1:]):
            if (found := read(inner, schema)) is not None:
                yield offset + len(line) - len(inner), inner, found
