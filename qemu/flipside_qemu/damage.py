"""Damage that is done to a device's disk behind the device's back."""

from __future__ import annotations

from flipside_qemu.device import Device
from flipside_qemu.disk import offset_of
from flipside_qemu.errors import EmulatorError
from flipside_qemu.machine import DISK_DEVICE


def overwrite(device: Device, partition: str, start: int, length: int, byte: int = 0) -> None:
    """Fill a stretch of a partition of the running device with one byte, and flush the disk.

    `start` and `length` are bytes, whole sectors. What the device has in its memory stays as it
    is: cut its power before it writes that back.
    """
    where = offset_of(partition) + start
    _run(device, f"write -P {byte} {where} {length}", f"wrote {length}/{length} bytes")
    _run(device, "flush", "")


def _run(device: Device, command: str, expected: str) -> None:
    """Have QEMU carry out one command of qemu-io(1) on the disk."""
    line = f'qemu-io -d {DISK_DEVICE} "{command}"'
    said: str = device.qmp.execute("human-monitor-command", command_line=line)
    if not said.startswith(expected) or (said and not expected):
        raise EmulatorError(f"QEMU refused to {command}: {said.strip()}")
