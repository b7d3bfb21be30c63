"""Damage that is done to a device's disk behind the device's back."""

from __future__ import annotations

from flipside_qemu.device import Device
from flipside_qemu.disk import offset_of
from flipside_qemu.errors import EmulatorError
from flipside_qemu.machine import DISK_DEVICE

_DISK = f"/machine/peripheral/{DISK_DEVICE}"


def overwrite(device: Device, partition: str, start: int, length: int, byte: int = 0) -> None:
    """Fill a stretch of a partition with one byte, in bytes from its start, and flush the disk.

    The device has to be on. What it has in its memory stays as it is: cut its power before it
    writes that back.
    """
    where = offset_of(partition) + start
    _run(device, f"write -P {byte} {where} {length}", f"wrote {length}/{length} bytes")
    _run(device, "flush", "")
    device.shell.note(f"{length} bytes of {partition} are overwritten")


def _run(device: Device, command: str, outcome: str) -> None:
    """Have QEMU carry out one command of qemu-io(1), which tells the outcome only in QEMU's log."""
    before = len(device.last_words())
    # The one who may write to the disk is the virtio device, on a PC behind its PCI card.
    behind = "/virtio-backend" if device.hardware.disk.endswith("-pci") else ""
    line = f'qemu-io -d {_DISK}{behind} "{command}"'
    refusal: str = device.qmp.execute("human-monitor-command", command_line=line)
    told = device.last_words()[before:].strip()
    if refusal or not told.startswith(outcome):
        raise EmulatorError(f"QEMU did not {command}: {refusal.strip() or told or 'no answer'}")
