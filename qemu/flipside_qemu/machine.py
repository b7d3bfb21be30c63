"""A virtual device as a value, and the command line that QEMU makes it from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from flipside_qemu.emulator import Emulator
from flipside_qemu.hardware import PC, Hardware

DISK_NODE = "disk"
VARS_NODE = "vars"
"""Names by which the monitor knows what is on the disk, and in the firmware's variables."""
DISK_DEVICE = "hd"
NIC = "nic"
"""Names by which it knows the disk itself and the network card."""
SECTOR = 512
"""Bytes that a disk writes whole or not at all; the unit of a write log."""


class Accel(StrEnum):
    """Who runs the guest's instructions."""

    TCG = "tcg"
    """QEMU's translator: works everywhere, alike everywhere, some ten times slower."""
    KVM = "kvm"
    """The host's processor; see :mod:`flipside_qemu.kvm` on where it works."""


@dataclass(frozen=True, slots=True)
class Forward:
    """A TCP port of the host, on 127.0.0.1, that leads to one of the guest."""

    host: int
    guest: int


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine with one disk, one network card and a serial console."""

    disk: Path
    """qcow2 if it is called so, raw otherwise. The machine writes to it."""
    variables: Path | None
    """The firmware's variables, in the same formats; None where it keeps none. The machine writes
    to them.

    Snapshots want qcow2 of both; :func:`flipside_qemu.overlay.private` makes it so.
    """
    hardware: Hardware = PC
    memory: int = 512
    """MiB."""
    accel: Accel = Accel.TCG
    cpu: str = ""
    """QEMU's name of a CPU model with its features; empty for the one that suits `accel`."""
    uuid: str = "f11b51de-0000-4000-8000-0000000000d1"
    """What the device reads at /sys/class/dmi/id/product_uuid, and systemd makes its machine-id of.

    Two devices that meet at one server need two of them.
    """
    serial: str = ""
    """What the device reads at /sys/class/dmi/id/product_serial; empty for none."""
    mac: str = "52:54:00:12:34:56"
    rtc: str = "utc"
    """What its clock says when it is switched on: ``utc`` for the time, or a moment such as
    ``1970-01-01T00:00:00``. It runs on through resets."""
    watchdog: bool = True
    """Whether it has a watchdog, if there is one for its hardware: it resets the machine when it is
    not fed."""
    forwards: tuple[Forward, ...] = ()
    extra: tuple[str, ...] = ()
    """More of QEMU's arguments, such as for a TPM or a USB stick."""
    write_log: Path | None = None
    """An empty file that takes down every write and every flush of the disk, in order; see
    :mod:`flipside_qemu.write_log`. A disk that is recorded can be saved in no snapshot."""


Wire = int | Path | None
"""Where a line of the machine ends: at an open socket's descriptor, at a socket that QEMU makes
and listens on, or at the terminal."""


def argv(
    machine: Machine,
    emulator: Emulator,
    *,
    console: Wire,
    monitor: Wire = None,
    paused: bool = False,
) -> list[str]:
    """The command line of this machine.

    With the console at the terminal the monitor is there too: Ctrl-A C changes between them.
    """
    hardware = machine.hardware
    cpu = machine.cpu or (hardware.cpu if machine.accel is Accel.TCG else "host")
    return [
        *emulator.command,
        *(argument for place in emulator.data for argument in ("-L", str(place))),
        *("-no-user-config", "-nodefaults", "-display", "none"),
        *("-machine", _model(machine)),
        *("-accel", machine.accel, "-cpu", cpu, "-smp", "1", "-m", str(machine.memory)),
        *("-rtc", f"base={machine.rtc}"),
        *_identity(machine),
        *_firmware(machine, emulator),
        *_disk(machine),
        *_network(machine),
        *_console(console, monitor),
        # Or the first seconds of every boot are spent waiting for randomness.
        *("-device", "virtio-rng-pci"),
        *(_watchdog(hardware.watchdog) if machine.watchdog and hardware.watchdog else ()),
        *(("-S",) if paused else ()),
        *machine.extra,
    ]


def _model(machine: Machine) -> str:
    flash = "" if machine.variables is None else f",pflash0=code,pflash1={VARS_NODE}"
    return machine.hardware.machine + flash


def _identity(machine: Machine) -> Iterator[str]:
    yield from ("-uuid", machine.uuid)
    if machine.serial:
        yield from ("-smbios", f"type=1,serial={_escaped(machine.serial)}")
    if not machine.hardware.smbios:
        name = "opt/io.systemd.credentials/system.machine_id"
        yield from ("-fw_cfg", f"name={name},string={machine.uuid.replace('-', '')}")


def _firmware(machine: Machine, emulator: Emulator) -> Iterator[str]:
    if machine.variables is None:
        yield from ("-bios", str(emulator.firmware))
        return
    yield from ("-blockdev", _node("code", _image(emulator.firmware, read_only=True)))
    yield from ("-blockdev", _node(VARS_NODE, _image(machine.variables)))


def _disk(machine: Machine) -> Iterator[str]:
    disk = _image(machine.disk)
    yield from ("-blockdev", _node(DISK_NODE, _recorded(disk, machine.write_log)))
    model = machine.hardware.disk
    yield from ("-device", f"{model},id={DISK_DEVICE},drive={DISK_NODE},bootindex=1")


def _watchdog(model: str) -> tuple[str, ...]:
    return ("-device", model, "-action", "watchdog=reset")


def _node(name: str, device: Mapping[str, object]) -> str:
    """A block device with a name. JSON, because a path may contain commas."""
    return json.dumps({"node-name": name, **device})


def _image(path: Path, *, read_only: bool = False) -> dict[str, object]:
    return {
        "driver": "qcow2" if path.suffix == ".qcow2" else "raw",
        "read-only": read_only,
        "file": {"driver": "file", "filename": str(path)},
    }


def _recorded(device: dict[str, object], log: Path | None) -> dict[str, object]:
    if log is None:
        return device
    return {
        "driver": "blklogwrites",
        "file": device,
        "log": {"driver": "file", "filename": str(log)},
        "log-sector-size": SECTOR,
        # How many entries there are is written down with each of them: who kills the recorder
        # loses none, and who hears the console knows how far the disk had come.
        "log-super-update-interval": 1,
    }


def _network(machine: Machine) -> Iterator[str]:
    ports = "".join(
        f",hostfwd=tcp:127.0.0.1:{forward.host}-:{forward.guest}" for forward in machine.forwards
    )
    yield from ("-netdev", f"user,id=net{ports}")
    # No boot ROM: nothing boots from the network, and initialising it costs time.
    yield from ("-device", f"virtio-net-pci,id={NIC},netdev=net,mac={machine.mac},romfile=")


def _console(console: Wire, monitor: Wire) -> Iterator[str]:
    if console is None:
        yield from ("-chardev", "stdio,id=console,mux=on,signal=off")
        yield from ("-mon", "chardev=console,mode=readline")
    else:
        yield from ("-chardev", _socket("console", console))
    yield from ("-serial", "chardev:console")
    if monitor is not None:
        yield from ("-chardev", _socket("monitor", monitor), "-mon", "chardev=monitor,mode=control")


def _socket(name: str, wire: int | Path) -> str:
    if isinstance(wire, int):
        return f"socket,id={name},fd={wire}"
    return f"socket,id={name},path={_escaped(str(wire))},server=on,wait=off"


def _escaped(value: str) -> str:
    """A value in one of QEMU's comma-separated options."""
    return value.replace(",", ",,")
