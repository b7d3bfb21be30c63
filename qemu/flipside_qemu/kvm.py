"""Whether the host's processor may run the devices: tried once, then remembered.

That /dev/kvm is there says little. On some hosts that are virtual themselves a kernel dies in its
first instructions (seen: SHLX of BMI2), so the answer is what comes of a real boot.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from flipside_qemu import device as devices
from flipside_qemu import emulator as emulators
from flipside_qemu.cache import Cache, key_of
from flipside_qemu.deadline import Deadline
from flipside_qemu.device import Device
from flipside_qemu.emulator import Emulator
from flipside_qemu.errors import HarnessError
from flipside_qemu.machine import Accel, Machine

_TRIAL = 60.0
"""Seconds that a boot may take; where KVM works it takes a few."""
_DEVICE = Path("/dev/kvm")


def accelerated(machine: Machine, emulator: Emulator, cache: Cache) -> Machine:
    """The machine with KVM if it boots with it on this host, else as it is."""
    return replace(machine, accel=Accel.KVM) if works(machine, emulator, cache) else machine


def works(machine: Machine, emulator: Emulator, cache: Cache) -> bool:
    """Whether this machine boots with KVM here; asked anew for another kernel, CPU or QEMU."""
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return False

    def answer(place: Path) -> None:
        cache.say("trying whether KVM works here")
        (place / "answer").write_text("yes" if _boots(machine, emulator) else "no")

    version = emulators.version(emulator.command)
    key = key_of(os.uname().release, _processor(), str(version))
    return (cache.entry("kvm", key, 4, answer) / "answer").read_text() == "yes"


def _boots(machine: Machine, emulator: Emulator) -> bool:
    accelerated = replace(machine, accel=Accel.KVM)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="flipside-kvm-") as directory,
            devices.fresh(accelerated, emulator, Path(directory)) as device,
        ):
            return _asks_for_input(device)
    except HarnessError:
        # Whatever kept it from booting, it did not boot; without KVM the same is told in full.
        return False


def _asks_for_input(device: Device) -> bool:
    device.power_on()
    deadline = Deadline.after(_TRIAL)
    while not deadline.passed():
        device.shell.raise_failure()
        if device.shell.is_asked():
            return True
        # KVM's internal errors stop the machine, and QEMU waits.
        if not device.qmp.execute("query-status")["running"]:
            return False
        time.sleep(0.2)
    return False


def _processor() -> str:
    """What the kernel calls the processor, with all its abilities."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags"))}))
