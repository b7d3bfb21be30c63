"""What a disk was told to write, in order: the log of QEMU's ``blklogwrites``, read.

The format is that of the kernel's dm-log-writes, version 1, all little endian (kernel
documentation, "dm-log-writes"). A superblock fills the first sector; then each entry has a header
in a sector of its own and, unless it is a discard, its data behind it:

======  ====  =============================  ======  ====  ===========================
offset  size  superblock                     offset  size  entry
======  ====  =============================  ======  ====  ===========================
0       8     magic                          0       8     sector that it begins at
8       8     version                        8       8     sectors
16      8     entries                        16      8     1 flush, 2 FUA, 4 discard, 8 mark
24      4     bytes in a sector              24      8     bytes of a mark's data
======  ====  =============================  ======  ====  ===========================

QEMU appends an entry when the disk has *completed* it, and flags flushes, but never FUA: it turns
a write with FUA into a write and a flush, and forgets to log that flush if nothing else was
written since the last one. That is how a file system's journal commits, so an NVMe disk, which
takes FUA, must not be recorded; virtio-blk takes none, and its guests flush where it shows. A log
with FUA in it, which only the kernel's recorder writes, is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag
from itertools import pairwise
from mmap import mmap

from flipside_qemu.errors import OperatorError

MAGIC = 0x006A736677736872
VERSION = 1
_SUPER = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")

Raw = bytes | bytearray | mmap
"""The bytes of a log; a mapped file, because a whole update is a few hundred megabytes."""


class Flag(IntFlag):
    """What an entry is besides a write."""

    FLUSH = 1
    FUA = 2
    DISCARD = 4
    MARK = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """One request that the disk has completed."""

    start: int
    """Byte of the disk at which it begins."""
    length: int
    """Bytes of the disk that it changes; none for a flush alone."""
    flags: Flag
    place: int
    """Byte of the log at which its data begins."""

    @property
    def end(self) -> int:
        """The first byte of the disk behind it."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Epoch:
    """Writes between two flushes: of these a power cut may keep any, whatever their order."""

    first: int
    """So many entries the disk keeps in any case."""
    last: int
    """So many there are when the next flush begins."""


@dataclass(frozen=True, slots=True)
class WriteLog:
    """A whole log: its entries, and where their data is."""

    raw: Raw
    sector: int
    """Bytes that the disk writes whole or not at all."""
    entries: tuple[Entry, ...]

    def data(self, number: int) -> bytes:
        """What an entry writes; zeros where it discards."""
        entry = self.entries[number]
        if Flag.DISCARD in entry.flags:
            return bytes(entry.length)
        return bytes(self.raw[entry.place : entry.place + entry.length])

    def writes(self) -> Iterator[int]:
        """The entries that change the disk."""
        return (number for number, entry in enumerate(self.entries) if entry.length)

    def epochs(self) -> list[Epoch]:
        """All of them, in order; the last one is open, its flush never came.

        A flush with data comes before its own data, which thus belongs to the epoch behind it.
        """
        flushes = (n for n, entry in enumerate(self.entries) if Flag.FLUSH in entry.flags)
        return [Epoch(first, last) for first, last in pairwise((0, *flushes, len(self.entries)))]


def entries_so_far(raw: Raw) -> int:
    """How many entries a log has, which may still be growing."""
    magic, version, entries, _ = _SUPER.unpack_from(raw)
    if (magic, version) != (MAGIC, VERSION):
        raise OperatorError(
            f"a write log begins with {magic:#x} and version {version},"
            f" expected {MAGIC:#x} and {VERSION}; record with blklogwrites or dm-log-writes"
        )
    return int(entries)


def parse(raw: Raw) -> WriteLog:
    """Read a log that is complete; raises OperatorError if it is none, or is cut short."""
    if len(raw) < _SUPER.size:
        raise OperatorError(f"a write log of {len(raw)} bytes, expected a superblock in it")
    sector = int(_SUPER.unpack_from(raw)[3])
    return WriteLog(raw, sector, tuple(_entries(raw, sector, entries_so_far(raw))))


def _entries(raw: Raw, sector: int, count: int) -> Iterator[Entry]:
    place = sector
    for number in range(count):
        if place + _ENTRY.size > len(raw):
            raise _short(raw, number, count)
        start, sectors, bits, extra = _ENTRY.unpack_from(raw, place)
        flags = Flag(bits & 0xF)
        place += sector
        if Flag.FUA in flags:
            raise OperatorError(
                f"entry {number} of the write log has FUA, expected writes and flushes alone;"
                " record a disk that takes no FUA, such as virtio-blk"
            )
        length = 0 if Flag.MARK in flags else sectors * sector
        yield Entry(start * sector, length, flags, place)
        place += extra if Flag.MARK in flags else 0 if Flag.DISCARD in flags else length
        place = -(-place // sector) * sector
        if place > len(raw):
            raise _short(raw, number, count)


def _short(raw: Raw, number: int, count: int) -> OperatorError:
    return OperatorError(
        f"a write log of {len(raw)} bytes ends in entry {number} of {count},"
        " expected all of them; take a copy only when the recorder has ended"
    )
