"""The EFI system partition of a device with systemd-boot: the loader, and what slot A boots with.

systemd-boot reads no other file system, so boot control keeps a copy of each slot's kernel there.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from flipside_qemu import filesystem, guest, toolbox
from flipside_qemu.cache import key_of, recipe
from flipside_qemu.esp import SERIAL, SIZE
from flipside_qemu.toolbox import run
from flipside_qemu.workbench import Workbench

SOURCES = guest.REPOSITORY / "bootctl" / "systemd-boot"
ENTRY = "boot/entry.conf"
"""A slot's own boot entry, from which the one on the partition is made."""
_LOADER = "usr/lib/systemd/boot/efi/systemd-bootx64.efi"


def build(bench: Workbench, slot: Path) -> Path:
    """The image of the partition for a device that runs this image from slot A."""
    loader = toolbox.fetch(bench.cache, "systemd-boot", toolbox.SUITE, ["systemd-boot-efi"])
    config = guest.text(SOURCES / "loader.conf")
    how = recipe(__file__, filesystem.__file__)
    key = key_of(how, bench.toolbox.root.name, loader.root.name, config, slot.parent.name)

    def make(place: Path) -> None:
        with tempfile.TemporaryDirectory() as name:
            content = Path(name) / "esp"
            _fill(content, loader.path(_LOADER), config)
            _create(bench, content, slot, Path(name) / "slot")
            filesystem.make_fat(bench.toolbox, place / "esp.img", SIZE, SERIAL, content)

    return bench.cache.entry("systemd-boot-partition", key, 8, make) / "esp.img"


def _fill(content: Path, loader: Path, config: str) -> None:
    for name, data in {
        "EFI/BOOT/BOOTX64.EFI": loader.read_bytes(),
        "loader/loader.conf": config.encode(),
    }.items():
        target = content / name
        target.parent.mkdir(parents=True)
        target.write_bytes(data)


def _create(bench: Workbench, content: Path, slot: Path, root: Path) -> None:
    """Have the command lay out the boot state, as a device's maker would."""
    root.mkdir()
    bench.toolbox.run("debugfs", "-R", f"rdump /boot {root}", slot)
    run(
        [sys.executable, "-m", "flipside_bootctl", "create", str(content), "A", str(root)],
        environment={"PYTHONPATH": str(guest.REPOSITORY / "bootctl")},
    )
