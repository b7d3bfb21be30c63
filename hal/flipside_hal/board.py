"""Which board this is, who this one is, and which slot it runs from.

Everything is read from files below a root directory, so that a test or an image build can show
another machine.
"""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from pathlib import Path

from flipside_bootctl.running import current_slot, kernel_arguments
from flipside_hal.errors import NoBootSlot, UnknownBoard

SLOTS = ("A", "B")
DEVICE_TREE = "sys/firmware/devicetree/base"


@dataclass(frozen=True, slots=True)
class Board:
    """A kind of machine."""

    name: str
    """What the rest of Flipside calls it; also the folder below ``hal/rauc``."""
    serial: str
    """The board's own number, empty if it has none."""


@dataclass(frozen=True, slots=True)
class Boot:
    """One boot of one machine."""

    slot: str
    """Bootname of the slot that the kernel came from."""
    other: str
    """Bootname of the slot that an update is written to."""
    boot_id: str
    """The kernel's random identity of this boot."""
    trial: bool
    """The boot loader started a slot that nobody has confirmed."""


def detect(root: Path = Path("/")) -> Board:
    """The board that this system runs on."""
    dmi, tree = root / "sys/class/dmi/id/sys_vendor", root / DEVICE_TREE / "compatible"
    vendor, kinds = _text(dmi), _text(tree).split("\0")
    if vendor == "QEMU":
        return Board(f"qemu-{platform.machine()}", _serial(root))
    if "linux,dummy-virt" in kinds:
        return Board("qemu-arm64", _serial(root))
    where, name = (tree, kinds[0]) if kinds[0] else (dmi, vendor)
    raise UnknownBoard(f"{where}: {name or 'missing'}, expected a supported board")


def boot(root: Path = Path("/")) -> Boot:
    """How this system was booted."""
    slot = current_slot(root)
    if slot not in SLOTS:
        raise NoBootSlot(
            f"kernel command line: rauc.slot={slot!r}, expected the boot loader to say A or B"
        )
    other = SLOTS[1 - SLOTS.index(slot)]
    boot_id = _text(root / "proc/sys/kernel/random/boot_id")
    return Boot(slot, other, boot_id, kernel_arguments(root).get("flipside.trial") == "1")


def identity(root: Path = Path("/")) -> str:
    """A name for this one device: the board's serial number, else the system's machine-id.

    Identical images find different names in it; only letters, digits, dots and dashes remain.
    """
    candidates = (_serial(root), _text(root / "etc/machine-id"))
    names = [re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-.") for name in candidates]
    name = next((name for name in names if name), "")
    if not name:
        raise UnknownBoard(
            f"{root / 'etc/machine-id'}: empty, expected a machine-id or a serial number"
        )
    return name[:64]


def version(root: Path = Path("/")) -> str:
    """Version of the running image: IMAGE_VERSION of os-release(5), empty if it has none."""
    lines = _text(root / "etc/os-release").splitlines()
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return values.get("IMAGE_VERSION", "").strip('"')


def _serial(root: Path) -> str:
    """The board's own number, as its firmware tells it in either way; empty if it has none."""
    dmi = _text(root / "sys/class/dmi/id/product_serial")
    return dmi or _text(root / DEVICE_TREE / "serial-number")


def _text(path: Path) -> str:
    """Content of a small file; empty where the board, or the right to read it, is missing.

    What comes out of a device tree ends with a NUL.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n\t\r")
    except OSError:
        return ""
