"""A board with a real U-Boot and no kernels: what its boot script starts and writes down."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pexpect

from flipside_bootctl import uboot_env
from flipside_bootctl.uboot_env import Copy
from flipside_qemu import guest, uboot_partition
from flipside_qemu.hardware import VIRT
from flipside_qemu.toolbox import Toolbox
from flipside_qemu.workbench import Workbench

SCRIPT = guest.REPOSITORY / "bootctl/uboot/boot.cmd"
ENV_SIZE = uboot_partition.ENVIRONMENT_SIZE
PATIENCE = 120
"""Seconds from power-on to the script's end, on a busy host."""
_SECTOR, _START, _FAT = 512, 2048, 40960
_PARTITIONS = f"label: gpt\nstart={_START},size={_FAT},bootable\nsize=1M\nsize=1M\n"
_GIVEN_UP = "flipside: neither slot has a kernel"


@dataclass(frozen=True)
class Board:
    """Its disk, in a directory."""

    bench: Workbench
    arm: Toolbox
    place: Path

    @property
    def _disk(self) -> Path:
        return self.place / "disk.raw"

    def make(self, environment: bytes) -> None:
        """Lay out a disk with the boot script and a file with this environment."""
        fat, env, script = (self.place / name for name in ("fat", "uboot.env", "boot.scr"))
        env.write_bytes(environment)
        made = ("-T", "script", "-A", "arm64", "-C", "none", "-d", SCRIPT, script)
        self.arm.run("mkimage", *made)
        fat.write_bytes(bytes(_FAT * _SECTOR))
        run = self.bench.toolbox.run
        run("mkfs.vfat", fat)
        run("mmd", "-i", fat, "::flipside")
        run("mcopy", "-i", fat, script, "::boot.scr")
        run("mcopy", "-i", fat, env, "::flipside/uboot.env")
        self._disk.write_bytes(bytes(64 << 20))
        run("sfdisk", "--quiet", self._disk, stdin=_PARTITIONS.encode())
        with self._disk.open("r+b") as disk:
            disk.seek(_START * _SECTOR)
            disk.write(fat.read_bytes())

    def boot(self) -> list[tuple[str, str]]:
        """Switch it on; slot and mark of everything that it starts until it has nothing left."""
        drive = f"file={self._disk},format=raw,if=none,id=disk"
        machine = ("-M", "virt", "-cpu", "cortex-a53", "-m", "512", "-nodefaults", "-nographic")
        command, *words = self.arm.argv(
            VIRT.program,
            *(*machine, "-serial", "stdio", "-L", self.arm.path("usr/share/qemu")),
            *("-bios", self.arm.path(VIRT.firmware)),
            *("-drive", drive, "-device", "nvme,drive=disk,serial=board"),
        )
        board = pexpect.spawn(command, words, timeout=PATIENCE, encoding="utf-8")
        try:
            board.expect_exact(_GIVEN_UP)
            said: str = board.before
        finally:
            board.close(force=True)
        return re.findall(r"^flipside: slot (\w) ?(\S*)\r*$", said, re.MULTILINE)

    def environment(self) -> Copy:
        """What it has written."""
        fat = self.place / "fat"
        with self._disk.open("rb") as disk:
            disk.seek(_START * _SECTOR)
            fat.write_bytes(disk.read(_FAT * _SECTOR))
        block = self.bench.toolbox.run("mtype", "-i", fat, "::flipside/uboot.env")
        return uboot_env.decode(block, redundant=False)
