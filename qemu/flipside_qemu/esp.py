"""The EFI system partition: GRUB, its script, and the boot state of a device that runs slot A."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from flipside_qemu import filesystem, guest
from flipside_qemu.cache import key_of, recipe
from flipside_qemu.toolbox import run
from flipside_qemu.workbench import Workbench

SIZE = 32 * filesystem.MIB
SERIAL = 0xF11B51DE
SCRIPT = guest.REPOSITORY / "bootctl" / "grub" / "grub.cfg"
DIRECTORY = "flipside"
"""GRUB looks for grub.cfg in it, on the partition that it was started from."""
MODULES = (
    *("part_gpt", "fat", "ext2", "normal", "configfile", "loadenv", "test", "true", "regexp"),
    *("echo", "linux", "boot", "reboot", "serial", "terminal", "sleep"),
)


def build(bench: Workbench, slot: Path) -> Path:
    """The image of the partition, whatever is in the slot; from the cache or freshly made."""
    script = guest.text(SCRIPT)
    key = key_of(recipe(__file__, filesystem.__file__), bench.toolbox.root.name, script, *MODULES)

    def make(place: Path) -> None:
        with tempfile.TemporaryDirectory() as name:
            content = Path(name)
            _fill(bench, content, script)
            filesystem.make_fat(bench.toolbox, place / "esp.img", SIZE, SERIAL, content)

    return bench.cache.entry("esp", key, 4, make) / "esp.img"


def _fill(bench: Workbench, content: Path, script: str) -> None:
    loader = content / "EFI/BOOT/BOOTX64.EFI"
    loader.parent.mkdir(parents=True)
    bench.toolbox.run(
        "grub-mkimage",
        *("--directory", bench.toolbox.path("usr/lib/grub/x86_64-efi")),
        *("--format", "x86_64-efi", "--prefix", f"/{DIRECTORY}"),
        *("--output", loader, *MODULES),
    )
    (content / DIRECTORY).mkdir()
    (content / DIRECTORY / "grub.cfg").write_text(script)
    # The command, not the module: the image is made with what a device's maker would use.
    run(
        [sys.executable, "-m", "flipside_bootctl", "create", str(content), "A"],
        environment={"PYTHONPATH": str(guest.REPOSITORY / "bootctl")},
    )
