"""Reads the files of a FAT16 file system as boot loaders do, however a power cut left it.

Tools that mend or copy such file systems refuse a file whose first cluster is marked as free. GRUB
does not even look: it takes the first cluster from the directory and asks the allocation table
only for what follows (grub-core/fs/fat.c), and so does UEFI (EDK 2, EnhancedFatDxe). What boots is
decided by their reading, so this one does the same. A long name counts only if it is whole and
belongs to the short one behind it; the case of names does not matter.

They differ in directories: one whose chain of clusters leads to a free one is empty for EDK 2
(FatPhysicalDirSize), while GRUB reads what comes before. GRUB's way is taken here, so a cut while a
directory is made or grows is not told rightly of EDK 2.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from flipside_qemu.errors import GuestError

_GEOMETRY = struct.Struct("<11xHBHBHHxHxxxxxxxxI")
_ENTRY = struct.Struct("<8s3sB14xHI")
_ENTRY_SIZE = 32
_DIRECTORY = 0x10
_VOLUME = 0x08
_LONG_NAME = 0x0F
"""A piece of a long name; the pieces come last one first, and then the entry that they name."""
_LAST_PIECE = 0x40
_END, _FREE = b"\0", b"\xe5"
_DEPTH = 8
"""Directories within each other, at most: a damaged one may contain itself."""

Read = Callable[[int, int], bytes]
"""Gives so many bytes from this offset of the file system on."""


class UnreadableFat(GuestError):
    """There is no FAT16 file system, or a chain of it leads nowhere."""


@dataclass(frozen=True, slots=True)
class Fat16:
    """Where its parts are, in bytes."""

    read: Read
    table: int
    root: int
    root_length: int
    clusters: int
    """Where the first cluster is; it has the number 2."""
    cluster: int
    """Bytes in a cluster."""

    def files(self) -> dict[str, bytes]:
        """Every file that can be read, by its path in lower case."""
        return dict(self._walk([self.read(self.root, self.root_length)], "", _DEPTH))

    def _walk(
        self, directory: Iterable[bytes], path: str, depth: int
    ) -> Iterator[tuple[str, bytes]]:
        for name, attributes, first, size in _entries(directory):
            try:
                if not attributes & _DIRECTORY:
                    yield path + name, self._content(first, size)
                elif depth:
                    yield from self._walk(self._chain(first), f"{path}{name}/", depth - 1)
            except UnreadableFat:
                continue  # GRUB cannot read this one either, and reads the others

    def _content(self, first: int, size: int) -> bytes:
        content = bytearray()
        for data in self._chain(first) if size else ():
            content += data
            if len(content) >= size:
                return bytes(content[:size])
        if size:
            raise UnreadableFat(f"a file of {size} bytes has only {len(content)}")
        return b""

    def _chain(self, number: int) -> Iterator[bytes]:
        """The clusters of a file; what comes after one is asked only when it is wanted."""
        seen = set()
        while number < 0xFFF8:
            if number < 2 or number in seen:
                raise UnreadableFat(f"a chain of clusters leads to {number}")
            seen.add(number)
            yield self.read(self.clusters + (number - 2) * self.cluster, self.cluster)
            (number,) = struct.unpack("<H", self.read(self.table + 2 * number, 2))


def opened(read: Read) -> Fat16:
    """The file system that begins at offset 0; raises UnreadableFat if there is none."""
    geometry = read(0, _GEOMETRY.size)
    sector, per_cluster, reserved, tables, roots, _, per_table, _ = _GEOMETRY.unpack(geometry)
    if sector not in (512, 1024, 2048, 4096) or 0 in (per_cluster, reserved, tables, per_table):
        raise UnreadableFat(f"the boot partition has no FAT16 file system, sectors of {sector}")
    table, root, length = reserved * sector, (reserved + tables * per_table) * sector, roots * 32
    return Fat16(read, table, root, length, root + length, per_cluster * sector)


def _entries(directory: Iterable[bytes]) -> Iterator[tuple[str, int, int, int]]:
    """Name, attributes, first cluster and size of what is in a directory, up to its end."""
    pieces: list[bytes] = []
    for entry in _raw_entries(directory):
        if entry.startswith(_END):
            return
        name, suffix, attributes, first, size = _ENTRY.unpack(entry)
        if attributes == _LONG_NAME and not entry.startswith(_FREE):
            pieces.append(entry)
            continue
        if not entry.startswith((_FREE, b".")) and not attributes & _VOLUME:
            words = (part.decode("ascii", "replace").strip() for part in (name, suffix))
            short = ".".join(word for word in words if word)
            yield (_long_name(name + suffix, pieces) or short).lower(), attributes, first, size
        pieces = []


def _raw_entries(directory: Iterable[bytes]) -> Iterator[bytes]:
    for cluster in directory:
        for place in range(0, len(cluster), _ENTRY_SIZE):
            yield cluster[place : place + _ENTRY_SIZE]


def _long_name(short: bytes, pieces: Sequence[bytes]) -> str:
    """The name that these pieces give to this entry; empty if one is missing or is another's."""
    checksum = 0
    for byte in short:
        checksum = ((checksum << 7 | checksum >> 1) + byte) & 0xFF
    name = b""
    for number, piece in enumerate(reversed(pieces), 1):
        if piece[0] & ~_LAST_PIECE != number or piece[13] != checksum:
            return ""
        name += piece[1:11] + piece[14:26] + piece[28:32]
        if piece[0] & _LAST_PIECE:
            return name.decode("utf-16-le", "replace").partition("\0")[0]
    return ""
