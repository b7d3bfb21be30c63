"""What only a device with systemd-boot can suffer, on real firmware.

A kernel that is there and cannot be loaded drops out of systemd-boot to the firmware, which starts
nothing again but what it has boot entries for. And variables of the firmware can go before all
counters.
"""

from __future__ import annotations

import re

import pytest

from flipside_qemu.device import Device
from flipside_qemu.workbench import Workbench
from flipside_qemu.workshop import Workshop
from models import debian_tools
from models.belief import believes
from models.flight import Flight
from models.kits import Kit

pytestmark = [
    pytest.mark.boards("qemu-x86_64-systemd-boot"),
    pytest.mark.slow,
    pytest.mark.timeout(5400),
]
LOADER = r"\EFI\BOOT\BOOTX64.EFI"
PROVISION = f"""\
for n in $(seq {{entries}}); do
    efibootmgr -q -c -d /dev/vda -p 1 -L "Flipside $n" -l '{LOADER}'
done
"""
"""As docs/boards.md tells it."""
DEFAULT = "/sys/firmware/efi/efivars/LoaderEntryDefault-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"


@pytest.fixture(scope="module")
def shop(bench: Workbench, kit: Kit) -> Workshop:
    """Images with efibootmgr in them."""
    return kit.workshop(bench, debian_tools.efibootmgr(bench.cache))


def test_a_kernel_that_cannot_be_loaded_is_left_without_a_hand_on_the_power_switch(
    ready_flight: Flight,
) -> None:
    device = ready_flight.device
    ready_flight.good_update()
    promised = ready_flight.boot_state()["capabilities"]
    provision(device, promised["confirmed_attempts"] + 1)

    truncate_kernel(device, "b")
    assert drop_outs(device, "b") == promised["confirmed_attempts"]
    assert device.booted_slot() == "A"
    assert ready_flight.boot_state()["slots"]["B"]["left"] == 0
    believes(ready_flight.server, slot="A", version="1")
    ready_flight.good_update()
    assert device.booted_slot() == "B"

    device.shell.check("flipside-bootctl set-state A bad && flipside-bootctl set-primary A")
    truncate_kernel(device, "a")
    assert drop_outs(device, "a") == promised["trial_attempts"]
    assert device.booted_slot() == "B"
    assert ready_flight.boot_state()["slots"]["A"] == {"left": 0, "confirmed": False}
    ready_flight.good_update()


def test_a_variable_that_goes_before_all_counters_is_told(ready_flight: Flight) -> None:
    device = ready_flight.device
    ready_flight.good_update()
    (file,) = device.shell.check("cd /efi/loader/entries && ls flipside-*-a+*").split()
    identity = re.sub(r"\+.*\.conf", ".conf", file)
    stored = bytes((7, 0, 0, 0)) + f"{identity}\0".encode("utf-16-le")
    quoted = "".join(f"\\x{byte:02x}" for byte in stored)
    # One write is the whole variable.
    device.shell.check(f"printf '{quoted}' > /run/default && cat /run/default > {DEFAULT}")

    device.reboot()
    assert (device.booted_slot(), ready_flight.boot_state()["next"]) == ("A", "B")
    believes(ready_flight.server, slot="A", trouble=".*LoaderEntryDefault goes before.*")
    device.shell.check(f"chattr -i {DEFAULT} && rm {DEFAULT}")
    assert ready_flight.boot_state()["damage"] == ""
    device.reboot()
    assert device.booted_slot() == "B"


def provision(device: Device, entries: int) -> None:
    """Have the firmware start the loader so often before it gives up."""
    device.shell.put("/run/provision", PROVISION.format(entries=entries))
    device.shell.check("sh /run/provision", within=120)
    # QEMU's flash is not flushed by anybody but QEMU, when it ends in order.
    device.shut_down()
    device.boot()
    device.shell.check("until [ -e /run/flipside/confirmed ]; do sleep 1; done", within=120)


def truncate_kernel(device: Device, slot: str) -> None:
    """Leave the beginning of a kernel on the partition, and cut the power."""
    kernel = f"/efi/flipside/{slot}/vmlinuz"
    device.shell.check(f"truncate -s 1M {kernel}; sync; sync {kernel}")
    device.power_cut()


def drop_outs(device: Device, slot: str) -> int:
    """Switch it on; how often this slot's kernel was tried in vain until the device was up."""
    device.boot()
    said = device.shell.tail(10_000)
    return len(re.findall(rf"Error loading \\flipside\\{slot}\\vmlinuz", said))
