"""Reads what is on a disk after a power cut, as those would read it who do so in the next boot.

The boot partition as GRUB does, and the data partition as the device does: mended by its own
script, which plays back the file system's journal, and then read.
Two cuts that leave a partition with the same content, by its fingerprint, are read once.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from flipside_qemu import disk, fat, guest, sparse
from flipside_qemu.aftermath import HISTORY, IDENTITY, JOURNAL, STATUS, Content, Remains
from flipside_qemu.fat import UnreadableFat
from flipside_qemu.fingerprint import Fingerprints, Stretch
from flipside_qemu.toolbox import Toolbox

MEND = guest.IMAGES / "rootfs/usr/lib/flipside/check-data"
FILES = (JOURNAL, HISTORY, IDENTITY, STATUS)
LARGE = 64 * 1024
"""Bytes; of a longer file on the boot partition a digest is kept."""
_Read = TypeVar("_Read")

STRETCHES = {
    partition.name: Stretch(
        disk.offset_of(partition.name), disk.offset_of(partition.name) + partition.size
    )
    for partition in disk.PARTITIONS
}


@dataclass(frozen=True, slots=True)
class Reader:
    """Looks at disks, and remembers what it has seen."""

    toolbox: Toolbox
    shipped: int
    """Fingerprint of the target's partition with the whole new image in it."""
    _boot: dict[int, Mapping[str, bytes]] = field(default_factory=dict)
    _data: dict[int, Mapping[str, bytes] | None] = field(default_factory=dict)

    def read(self, image: Path, prints: Fingerprints) -> Remains:
        """What is on this disk."""
        boot = _once(self._boot, prints["esp"], lambda: self._read_boot(image))
        data = _once(self._data, prints["data"], lambda: self._read_data(image))
        slots = {"A": self._content(prints["root-a"]), "B": self._content(prints["root-b"])}
        return Remains(boot, slots, data)

    def _content(self, fingerprint: int) -> Content:
        if fingerprint == 0:
            return Content.OLD
        return Content.NEW if fingerprint == self.shipped else Content.HALF

    def _read_boot(self, image: Path) -> Mapping[str, bytes]:
        with image.open("rb") as disk:

            def read(place: int, length: int) -> bytes:
                return os.pread(disk.fileno(), length, STRETCHES["esp"].start + place)

            try:
                files = fat.opened(read).files()
            except UnreadableFat:
                return {}
        return {path: told(content) for path, content in files.items()}

    def _read_data(self, image: Path) -> Mapping[str, bytes] | None:
        stretch = STRETCHES["data"]
        with tempfile.TemporaryDirectory(dir=image.parent) as name:
            place = Path(name)
            copy = place / "data"
            sparse.copy(image, copy, stretch.start, stretch.end - stretch.start)
            return self._dumped(copy, place) if self._is_mended(copy, place) else None

    def _is_mended(self, copy: Path, place: Path) -> bool:
        """Run the device's own check on it, with the toolbox's e2fsck."""
        program = place / "e2fsck"
        program.write_text(f'#!/bin/sh\nexec {shlex.join(self.toolbox.argv("e2fsck"))} "$@"\n')
        program.chmod(0o755)
        command = ["sh", str(MEND), str(copy)]
        path = f"{place}:/usr/bin:/bin"
        return not subprocess.run(
            command, env={"PATH": path}, capture_output=True, check=False
        ).returncode

    def _dumped(self, copy: Path, place: Path) -> Mapping[str, bytes]:
        script = place / "script"
        script.write_text("".join(f"dump /{name} {place}/{n}\n" for n, name in enumerate(FILES)))
        self.toolbox.run("debugfs", "-f", script, copy)
        found = ((name, place / str(number)) for number, name in enumerate(FILES))
        return {name: path.read_bytes() for name, path in found if path.exists()}


def told(content: bytes) -> bytes:
    """A file of the boot partition as it is kept: a digest of it, if it is large."""
    return hashlib.sha256(content).digest() if len(content) > LARGE else content


def _once(seen: dict[int, _Read], key: int, read: Callable[[], _Read]) -> _Read:
    if key not in seen:
        seen[key] = read()
    return seen[key]
