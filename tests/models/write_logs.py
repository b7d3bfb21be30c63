"""Makes write logs as QEMU's blklogwrites does, entry by entry."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Self

from flipside_qemu import write_log
from flipside_qemu.write_log import Flag, WriteLog

SECTOR = 512


@dataclass
class LogWriter:
    """A log that grows."""

    raw: bytearray = field(default_factory=lambda: bytearray(SECTOR))
    entries: int = 0

    def write(self, sector: int, *fills: str) -> Self:
        """Write as many sectors as there are letters, each full of one letter."""
        data = b"".join(fill.encode() * SECTOR for fill in fills)
        return self.add(sector, len(fills), Flag(0), data)

    def flush(self) -> Self:
        """The guest flushes the disk's cache."""
        return self.add(0, 0, Flag.FLUSH)

    def discard(self, sector: int, sectors: int) -> Self:
        """The guest does not want them any more; no data follows."""
        return self.add(sector, sectors, Flag.DISCARD)

    def mark(self, words: bytes) -> Self:
        """Only the kernel's recorder has these."""
        return self.add(0, 0, Flag.MARK, words, extra=len(words))

    def add(
        self, sector: int, sectors: int, flags: Flag, data: bytes = b"", extra: int = 0
    ) -> Self:
        """Any entry."""
        self.raw += struct.pack("<QQQQ", sector, sectors, flags, extra).ljust(SECTOR, b"\0")
        self.raw += data.ljust(-(-len(data) // SECTOR) * SECTOR, b"\0")
        self.entries += 1
        struct.pack_into("<QQQI", self.raw, 0, write_log.MAGIC, 1, self.entries, SECTOR)
        return self

    def log(self) -> WriteLog:
        """The log, read."""
        return write_log.parse(bytes(self.raw))
