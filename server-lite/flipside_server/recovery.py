"""Opens a log as it was left: what was torn by a cut is dropped, what was damaged is refused."""

from __future__ import annotations

import logging
import os
import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from flipside_server.catalog import Catalog, Indexed, place
from flipside_server.errors import StorageError
from flipside_server.index_file import Index, read_index
from flipside_server.log_file import Extent
from flipside_server.log_line import lines_within
from flipside_server.schema import CURRENT, is_readable, read, schema_of

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recovered:
    """A log that can be worked with."""

    extent: Extent
    catalog: Catalog


def recovered(path: Path, indexed: Indexed) -> Recovered:
    """The log in this file, open; what a cut left of unacknowledged writes is cut off."""
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    with ExitStack() as stack:
        stack.callback(os.close, file)
        found = _read(path, file, indexed)
        stack.pop_all()
    return found


def checked_schema(path: Path, header: bytes) -> int:
    """The version of a log that begins so, or StorageError if it cannot be read."""
    schema = schema_of(header)
    if schema is None:
        raise StorageError(f"{path} is not a store of flipside-server: its first line says not so")
    if not isinstance(schema, int) or not is_readable(schema):
        raise StorageError(
            f"{path} has schema {schema}, this server reads up to {CURRENT}: use the version "
            "that wrote it"
        )
    return schema


def torn(tail: bytes, offset: int, schema: int) -> bool:
    """Whether a power cut can have left this tail, whose first line, at that offset, is no line.

    It cannot if a later line was written after this one was on the disk.
    """
    later = (read(line, schema) for line in lines_within(tail))
    return not any(one.vouches_for(offset) for one in later if one)


def _read(path: Path, file: int, indexed: Indexed) -> Recovered:
    with path.open("rb") as stream:
        header = stream.readline()
        schema = checked_schema(path, header)
        index = read_index(path, file, header, indexed)
        size, crc, catalog = _beginning(header, index, indexed)
        stream.seek(size)
        for line in stream:
            entry = read(line, schema)
            if entry is None:
                break
            catalog.apply(entry.changes, place(size, len(line)))
            size, crc = size + len(line), zlib.crc32(line, crc)
    extent = Extent(file, size, crc, schema)
    _drop_tail(path, extent, index.size)
    return Recovered(extent, catalog)


def _beginning(header: bytes, index: Index, indexed: Indexed) -> tuple[int, int, Catalog]:
    if index.catalog is None:
        return len(header), zlib.crc32(header), Catalog(indexed)
    return index.size, index.crc, index.catalog


def _drop_tail(path: Path, extent: Extent, flushed: int) -> None:
    tail = _tail(extent)
    rest = tail.strip(b"\0")
    if extent.size < flushed or (rest and not torn(tail, extent.size, extent.schema)):
        raise StorageError(
            f"{path} is damaged at byte {extent.size}, where no power cut can have done it: see "
            "'flipside-server check', and restore it from a backup"
        )
    if rest:
        _log.warning("dropped a torn, unacknowledged write at the end of %s", path)
        os.ftruncate(extent.file, extent.size)
        os.fsync(extent.file)


def _tail(extent: Extent) -> bytes:
    length = os.fstat(extent.file).st_size - extent.size
    return os.pread(extent.file, length, extent.size)
