"""What systemd-boot starts, told from the files on its partition after a power cut."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from flipside_qemu import image, remains
from flipside_qemu.aftermath import Attempt
from flipside_qemu.image import Image
from flipside_qemu.workshop import Workshop
from models.systemd_boot import ENTRIES, Firmware, Listed

KERNELS = "flipside/"


@dataclass(frozen=True, slots=True)
class CountedSystemdBoot:
    """The scheme of ``docs/adr/0011-systemd-boot.md``, read by the model of the loader."""

    whole: Collection[bytes]
    """What the images have to be loaded, as ``remains`` keeps files."""

    def changes(self, name: str) -> bool:
        """Whether this is an entry or a copy of a kernel."""
        return name.startswith((ENTRIES, KERNELS))

    def can_load(self, slot: str, files: Mapping[str, bytes]) -> bool:
        """Whether each entry that starts this slot loads what the slot has, byte for byte."""
        return all(
            files.get(path) in self.whole
            for one in self._listed(files)
            if one.slot == slot
            for path in one.images
        )

    def attempts(self, files: Mapping[str, bytes]) -> tuple[Attempt, ...]:
        """The entries in their order, up to the first one that nothing is counted down for."""
        return tuple(self._attempts(files))

    def _attempts(self, files: Mapping[str, bytes]) -> Iterator[Attempt]:
        for one in self._listed(files):
            yield Attempt(one.slot, one.trial)
            if one.left <= 0:
                return

    def _listed(self, files: Mapping[str, bytes]) -> list[Listed]:
        return Firmware(dict(files), self.whole).listed()


def of(shop: Workshop, *versions: str) -> CountedSystemdBoot:
    """The scheme on devices that run these versions."""
    whole: set[bytes] = set()
    for version in versions:
        slot = image.build(shop.bench, shop.rootfs, Image(version, shop.keyring(), shop.files))
        with tempfile.TemporaryDirectory() as name:
            shop.bench.toolbox.run("debugfs", "-R", f"rdump /boot {name}", slot)
            whole |= {remains.told(path.read_bytes()) for path in Path(name, "boot").iterdir()}
    return CountedSystemdBoot(frozenset(whole))
