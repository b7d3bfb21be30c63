"""Devices of every scheme, as directories: what is made of one is the file with its boot state."""

from __future__ import annotations

from pathlib import Path

from flipside_bootctl import boot_order, grubenv, uboot_env
from flipside_bootctl.grub_counted import GrubCounted
from flipside_bootctl.state import BAD, Slot
from flipside_bootctl.uboot_env import Copy
from models.efi_firmware import Firmware


def grub(root: Path) -> Path:
    """Equip a device with GRUB; the file with its boot state."""
    GrubCounted(root / "efi").create("A")
    (root / "efi/flipside/grub.cfg").write_text("")
    return root / "efi/flipside/boot.env"


def uboot(root: Path) -> Path:
    """Equip a device with U-Boot; the file with its environment."""
    fresh = boot_order.at_first().with_slot("A", Slot(9, confirmed=True)).with_slot("B", BAD)
    env = root / "boot.env"
    env.write_bytes(uboot_env.encode(Copy(boot_order.to_variables(fresh)), 1024))
    (root / "etc").mkdir()
    (root / "etc/fw_env.config").write_text("/boot.env 0 0x400\n")
    return env


def bootcount(root: Path) -> Path:
    """Equip a device whose U-Boot counts by itself."""
    variables = {"BOOT_ORDER": "A", "bootlimit": "3", "altbootcmd": "run other"}
    env = uboot(root)
    env.write_bytes(uboot_env.encode(Copy(variables), 1024))
    return env


def rauc(root: Path, loader: str) -> None:
    """Have RAUC drive this boot loader by itself."""
    slots = "[slot.rootfs.0]\nbootname=A\n[slot.rootfs.1]\nbootname=B\n"
    (root / "etc/rauc").mkdir(parents=True)
    (root / "etc/rauc/system.conf").write_text(f"[system]\nbootloader={loader}\n{slots}")


def stock_grub(root: Path) -> Path:
    """Equip a device with RAUC's own scheme for GRUB."""
    rauc(root, "grub\ngrubenv=/grubenv")
    variables = {"ORDER": "A B", "A_OK": "1", "A_TRY": "0", "B_OK": "0", "B_TRY": "0"}
    (root / "grubenv").write_bytes(grubenv.encode(variables))
    return root / "grubenv"


def efi(root: Path) -> Path:
    """Equip a device whose firmware decides; the directory with its variables."""
    rauc(root, "efi")
    firmware = Firmware(root)
    firmware.enter(1, "A")
    firmware.enter(2, "B")
    firmware.order(1)
    firmware.boot()
    return firmware.place


def content(state: Path) -> dict[str, bytes]:
    """What a file holds, or all files of a directory."""
    files = [state] if state.is_file() else sorted(state.iterdir())
    return {file.name: file.read_bytes() for file in files}
