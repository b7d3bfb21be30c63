"""Damage to a disk, with a real QEMU; nothing has to boot for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from flipside_qemu import damage, device
from flipside_qemu.disk import offset_of
from flipside_qemu.emulator import Emulator
from flipside_qemu.errors import EmulatorError
from flipside_qemu.filesystem import MIB
from flipside_qemu.machine import Machine

pytestmark = pytest.mark.qemu


def test_a_stretch_of_a_partition_is_overwritten_and_nothing_else(
    qemu: Emulator, tmp_path: Path
) -> None:
    disk = tmp_path / "disk.raw"
    with disk.open("wb") as file:
        file.truncate(offset_of("data"))
    with device.fresh(Machine(disk, qemu.variables), qemu, tmp_path / "device") as unit:
        unit.power_on()
        damage.overwrite(unit, "root-b", start=1056, length=4, byte=0xFF)
        damage.overwrite(unit, "root-b", start=4 * MIB, length=MIB, byte=0x55)
        with pytest.raises(EmulatorError, match="did not write"):
            damage.overwrite(unit, "data", start=0, length=512)
    seen = tmp_path / "seen.raw"
    overlay = tmp_path / "device" / "disk.qcow2"
    subprocess.run([*qemu.img, "convert", "-O", "raw", str(overlay), str(seen)], check=True)
    slot = seen.read_bytes()[offset_of("root-b") :]
    assert slot[1056:1060] == b"\xff" * 4
    assert slot[4 * MIB : 5 * MIB] == b"\x55" * MIB
    assert len(seen.read_bytes().replace(b"\0", b"")) == MIB + 4
