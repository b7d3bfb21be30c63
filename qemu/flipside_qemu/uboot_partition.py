"""The first partition of a board with U-Boot: the boot script, and the boot state of slot A.

U-Boot itself is the board's firmware. Its bootstd takes the script from an EFI system partition.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from flipside_qemu import filesystem, guest
from flipside_qemu.cache import key_of, recipe
from flipside_qemu.esp import DIRECTORY, SERIAL, SIZE
from flipside_qemu.hardware import VIRT
from flipside_qemu.toolbox import Toolbox
from flipside_qemu.workbench import Workbench

SOURCES = guest.REPOSITORY / "bootctl" / "uboot"
ENVIRONMENT_SIZE = 0x4000


def build(bench: Workbench, slot: Path) -> Path:
    """The image of the partition, whatever is in the slot; from the cache or freshly made."""
    tools = VIRT.toolbox(bench.cache)
    script, state = (guest.text(SOURCES / name) for name in ("boot.cmd", "first.env"))
    how = recipe(__file__, filesystem.__file__)
    key = key_of(how, bench.toolbox.root.name, tools.root.name, script, state)

    def make(place: Path) -> None:
        with tempfile.TemporaryDirectory() as name:
            content = Path(name)
            _fill(tools, content, state)
            filesystem.make_fat(bench.toolbox, place / "esp.img", SIZE, SERIAL, content)

    return bench.cache.entry("uboot", key, 4, make) / "esp.img"


def _fill(tools: Toolbox, content: Path, state: str) -> None:
    source, target = SOURCES / "boot.cmd", content / "boot.scr"
    tools.run("mkimage", "-T", "script", "-A", "arm64", "-C", "none", "-d", source, target)
    (content / DIRECTORY).mkdir()
    environment = content / DIRECTORY / "uboot.env"
    size = hex(ENVIRONMENT_SIZE)
    tools.run("mkenvimage", "-s", size, "-o", environment, "-", stdin=state.encode())
