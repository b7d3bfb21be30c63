"""The counted scheme under the real firmware, GRUB and kernel: both sides of N."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from flipside_qemu.device import Device

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(1800)]

N = 9
BOTH_SLOTS = "dd if=/dev/disk/by-partlabel/root-a of=/dev/disk/by-partlabel/root-b bs=1M 2>&1"


def interrupted_boot(device: Device) -> str:
    """The slot that GRUB starts; the reset button is pressed before userspace is up."""
    device.reset()
    return device.shell.wait_for(r"^flipside: slot (\w)", within=120)[1]


def boot_state(device: Device) -> dict[str, dict[str, object]]:
    slots: dict[str, dict[str, object]] = json.loads(
        device.shell.check("flipside-bootctl status --json")
    )["slots"]
    return slots


def test_a_confirmed_slot_is_left_after_nine_unconfirmed_boots_and_not_before(
    new_device: Callable[..., Device],
) -> None:
    device = new_device()
    device.boot()
    device.shell.check(BOTH_SLOTS, within=300)
    for words in ("set-state A good", "set-state B good", "set-primary A"):
        device.shell.check(f"flipside-bootctl {words}")
    assert [interrupted_boot(device) for _ in range(N)] == ["A"] * N
    device.reset()
    device.boot()
    assert device.booted_slot() == "B"
    assert boot_state(device)["A"] == {"left": 0, "confirmed": True}
