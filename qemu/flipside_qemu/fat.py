"""Reads the files of a FAT16 file system as GRUB does, however inconsistent a power cut left it.

Tools that mend or copy such file systems refuse a file whose first cluster is marked as free. GRUB
does not even look: it takes the first cluster from the directory and asks the allocation table
only for what follows (grub-core/fs/fat.c). What boots is decided by GRUB's reading, so this one
does the same. Long names are skipped; every file has a short one, and their case does not matter.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from flipside_qemu.errors import GuestError

_GEOMETRY = struct.Struct("<11xHBHBHHxHxxxxxxxxI")
_ENTRY = struct.Struct("<8s3sB14xHI")
_DIRECTORY = 0x10
_VOLUME = 0x08
"""The name of the volume, and, with other bits, a piece of a long name."""
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
        content = b""
        for data in self._chain(first) if size else ():
            content += data
            if len(content) >= size:
                return content[:size]
        if size:
            raise UnreadableFat(f"a file of {size} bytes has only {len(content)}")
        return content

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
    for name, suffix, attributes, first, size in chain.from_iterable(
        map(_ENTRY.iter_unpack, directory)
    ):
        if name.startswith(_END):
            return
        if name.startswith((_FREE, b".")) or attributes & _VOLUME:
            continue
        words = (part.decode("ascii", "replace").strip().lower() for part in (name, suffix))
        yield ".".join(word for word in words if word), attributes, first, size
