"""How large a block device is, as sysfs says: the agent's own /dev has no disks in it."""

from __future__ import annotations

import re
from pathlib import Path

SECTOR = 512
"""Bytes; sysfs counts in these, whatever the disk does."""

_NAMES = (
    (re.compile(r"/dev/disk/by-partlabel/([^/\\]+)"), "PARTNAME"),
    (re.compile(r"/dev/disk/by-partuuid/([0-9a-f-]+)"), "PARTUUID"),
    (re.compile(r"/dev/([^/]+)"), "DEVNAME"),
)
"""Ways to name a block device, and the kernel's word for what is named."""


def capacity_of(device: str, root: Path = Path("/")) -> int | None:
    """Return the bytes of a device by its path below /dev, or None if they cannot be known.

    A name that fits two devices says nothing: only udev knows which one it has linked.
    """
    wanted = _uevent_line(device)
    if wanted is None:
        return None
    found = [place for place in root.glob("sys/class/block/*") if wanted in _lines(place)]
    return _size(found[0]) if len(found) == 1 else None


def _uevent_line(device: str) -> str | None:
    for pattern, key in _NAMES:
        if match := pattern.fullmatch(device):
            return f"{key}={match[1]}"
    return None


def _lines(place: Path) -> list[str]:
    try:
        return (place / "uevent").read_text().splitlines()
    except OSError:  # the device has just gone
        return []


def _size(place: Path) -> int | None:
    try:
        return int((place / "size").read_text()) * SECTOR
    except (OSError, ValueError):
        return None
