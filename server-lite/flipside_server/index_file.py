"""The index beside the log: what a start would else have to find out line by line.

It describes the beginning of the log, and is believed only if that beginning still has the CRC-32
that it names; else, or without it, the log is read from its first line and nothing is lost but
time.
It is written only after what it describes was flushed, so a beginning that differs was damaged.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path

from flipside_server.catalog import Catalog, Indexed
from flipside_server.log_file import Extent, write_at
from flipside_server.log_line import Document, content, framed

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Index:
    """What the index says."""

    size: int = 0
    """Bytes at the beginning of the log that were on the disk; 0 if nothing is known."""
    crc: int = 0
    """CRC-32 of these bytes."""
    catalog: Catalog | None = None
    """What they say; None if they differ, or were indexed otherwise."""


def index_path(log: Path) -> Path:
    """Where the index of a log lies."""
    return log.with_suffix(".index")


def keep_index(log: Path, extent: Extent, columns: Document) -> None:
    """Write the index of a log that was flushed up to this extent."""
    name = _name(_header(extent.file))
    line = framed({"log": name, "size": extent.size, "crc": extent.crc, **columns})
    place = index_path(log)
    beside = place.with_name(place.name + ".new")
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        # Not flushed: a torn index has a wrong CRC-32 of its own, and costs a slower start.
        write_at(file, line, 0)
    finally:
        os.close(file)
    beside.replace(place)


def read_index(log: Path, file: int, header: bytes, indexed: Indexed) -> Index:
    """What the index beside this open log is worth."""
    try:
        said = content(index_path(log).read_bytes())
    except OSError:
        return Index()
    if not isinstance(said, dict) or said.get("log") != _name(header):
        return Index()
    if _crc(file, said["size"]) != said["crc"]:
        return Index(said["size"])
    return Index(said["size"], said["crc"], Catalog.from_columns(indexed, said))


def _name(header: bytes) -> str:
    # A header holds a random number: no two logs begin with the same one.
    return header.decode("ascii", "replace")


def _header(file: int) -> bytes:
    beginning = os.pread(file, 200, 0)
    return beginning[: beginning.find(b"\n") + 1]


def _crc(file: int, size: int) -> int | None:
    """CRC-32 of so many bytes; None if there are fewer."""
    crc = done = 0
    while done < size:
        block = os.pread(file, min(_BLOCK, size - done), done)
        if not block:
            return None
        crc, done = zlib.crc32(block, crc), done + len(block)
    return crc
