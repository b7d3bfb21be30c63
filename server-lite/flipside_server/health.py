"""Whether the server can do its work: what a look at its disk and its store says."""

from __future__ import annotations

from dataclasses import dataclass

_LEAST_BYTES = 16 << 20
"""Below this the next report may be the first that cannot be kept."""
_LEAST_FILES = 16


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system with the data directory."""

    free: int
    """Bytes that the server may still write."""
    files: int | None
    """Files that it may still make; None where there is no such limit."""
    read_only: bool


def troubles(disk: Disk, *, sound: bool) -> tuple[str, ...]:
    """What keeps the server from taking a device's word; nothing if it is ready."""
    found = []
    if disk.read_only:
        found.append("the data directory is on a file system that is read-only")
    if disk.free < _LEAST_BYTES:
        found.append(f"the disk is full: {disk.free >> 20} of {_LEAST_BYTES >> 20} MiB are free")
    if disk.files is not None and disk.files < _LEAST_FILES:
        found.append("the disk has no room for further files")
    if not sound:
        found.append("the disk failed to keep a write: restart the server to read it anew")
    return tuple(found)
