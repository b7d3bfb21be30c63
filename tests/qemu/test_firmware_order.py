"""The boot order that real firmware keeps, changed by us through Linux's real efivarfs.

Both entries start the same boot loader; the firmware's BootCurrent tells which one it took.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from flipside_qemu.device import Device

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

PLACE = "/data/efi"
CONFIG = """\
[system]
bootloader=efi
[slot.rootfs.0]
bootname=A
[slot.rootfs.1]
bootname=B
"""
COMMAND = f"""\
import sys
from flipside_bootctl import cli
cli.ROOT = "{PLACE}"
sys.exit(cli.main())
"""
ENTRIES = """\
import os
from flipside_bootctl import efi_load_option
from flipside_bootctl.efi_load_option import ACTIVE, END, LoadOption
from flipside_bootctl.efivars import EfiVars

def number(path):
    with open(path) as file:
        return int(file.read())

esp = os.path.basename(os.path.realpath("/dev/disk/by-partlabel/esp"))
facts = f"/sys/class/block/{esp}"
parent = os.path.basename(os.path.dirname(os.path.realpath(facts)))
with open(f"/dev/{parent}", "rb") as file:
    file.seek(1024 + 128 * (number(f"{facts}/partition") - 1) + 16)  # GPT: identity of the entry
    guid = file.read(16)
disk = efi_load_option.partition(
    number(f"{facts}/partition"),
    number(f"{facts}/start"),
    number(f"{facts}/size"),
    guid,
)
for place, label in ((0xA, "A"), (0xB, "B")):
    path = (disk, efi_load_option.file(r"\\EFI\\BOOT\\BOOTX64.EFI"), END)
    option = LoadOption(ACTIVE, label, path)
    EfiVars("/").write(f"Boot{place:04X}", efi_load_option.encode(option))
"""


@pytest.fixture
def machine(new_device: Callable[[], Device]) -> Device:
    """A machine that was booted from the entry A of its firmware, and has an entry B."""
    device = new_device()
    device.boot()
    shell = device.shell
    shell.check(f"mkdir -p {PLACE}/etc/rauc {PLACE}/proc && ln -s /sys {PLACE}/sys")
    shell.check(f"echo quiet > {PLACE}/proc/cmdline")
    shell.put(f"{PLACE}/etc/rauc/system.conf", CONFIG)
    shell.put(f"{PLACE}/bootctl.py", COMMAND)
    shell.put(f"{PLACE}/entries.py", ENTRIES)
    shell.check(f"python3 -I {PLACE}/entries.py")
    bootctl(device, "set-state A good")
    device.reboot()
    return device


def bootctl(device: Device, words: str) -> str:
    """Run the command on variables of the firmware."""
    return device.shell.check(f"python3 -I {PLACE}/bootctl.py {words}")


def status(device: Device) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bootctl(device, "status --json"))
    return found


def test_the_firmware_boots_what_we_say_and_we_say_what_it_boots(machine: Device) -> None:
    found = status(machine)
    assert (found["scheme"], found["current"], found["next"]) == ("efi", "A", "A")
    assert found["slots"]["B"]["left"] == 0
    bootctl(machine, "set-primary B")
    assert status(machine)["next"] == "B"
    machine.reboot()
    found = status(machine)
    assert (found["current"], found["next"]) == ("B", "A"), "a trial is one boot"
    machine.reboot()
    assert status(machine)["current"] == "A"

    bootctl(machine, "set-primary B")
    machine.reboot()
    bootctl(machine, "set-state B good")
    bootctl(machine, "set-state A bad")
    machine.reboot()
    found = status(machine)
    assert (found["current"], found["next"], found["damage"]) == ("B", "B", "")
    assert found["slots"]["A"]["left"] == 0
