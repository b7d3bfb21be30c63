"""Images that never get as far as their agent: each is left after its tries, and the truth told.

The boot loader gives a trial three boots. Whatever ends them, a kernel that panics, a watchdog that
bites, systemd's timer for unconfirmed trials, the device is back on slot A, and its agent there
tells the server what has become of slot B.
"""

from __future__ import annotations

import pytest

from flipside_qemu import damage, faults
from flipside_qemu.alarms import Alarm
from flipside_qemu.tree import Layer
from models.flight import LANDED, Flight

pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400)]

TRIES = 3
FELL_BACK = "slot B went down before its agent took over; the boot loader fell back to A"
GIVEN_UP = "flipside: nobody has confirmed this trial boot; rebooting"
FLAWS: dict[str, tuple[Layer, str]] = {
    "panic": (faults.kernel_panic(), "Kernel panic"),
    "init-is-noise": (faults.destroyed_init(), "Kernel panic"),
    "lost-root": (faults.lost_root(), "initramfs: there is no partition root-c, rebooting"),
    "stuck-unit": (faults.short_trial(faults.stuck_unit(), 30), GIVEN_UP),
    "no-python": (faults.missing_python(), GIVEN_UP),
    "no-data": (faults.refused_data(), GIVEN_UP),
    "broken-agent": (faults.broken_agent(), GIVEN_UP),
    "silent-agent": (faults.short_trial(faults.silent_agent(), 30), GIVEN_UP),
}
"""Versions, each with its flaw and what the console shows of it in every try."""
SUPERBLOCK = 1024
"""Where a superblock of ext4 begins and how long it is, in bytes."""
BLOCKS_PER_GROUP = SUPERBLOCK + 32
"""A number in it that the kernel checks and GRUB does not read."""


@pytest.mark.parametrize("version", FLAWS)
def test_an_image_that_does_not_come_up_is_left_after_three_tries(
    ready_flight: Flight, version: str
) -> None:
    device = ready_flight.device
    flaw, shown = FLAWS[version]
    action = ready_flight.ship(version, flaw)
    with device.shell.expecting(Alarm.PANIC):
        for _ in range(TRIES):
            device.shell.wait_for(r"^flipside: slot B flipside\.trial=1", within=LANDED)
            device.shell.wait_for(shown, within=300)
    ready_flight.refused(action, FELL_BACK)
    assert device.booted_slot() == "A"
    ready_flight.good_update()


def test_the_watchdog_ends_the_tries_of_an_image_whose_init_freezes(ready_flight: Flight) -> None:
    device = ready_flight.device
    action = ready_flight.ship("frozen-init", faults.frozen_init(watchdog=15))
    with device.shell.expecting(Alarm.EMERGENCY):
        for _ in range(TRIES):
            device.shell.wait_for(r"systemd\[1\]: Freezing execution", within=LANDED)
            device.qmp.wait_for("WATCHDOG", within=300, action="reset")
    ready_flight.refused(action, FELL_BACK)
    assert device.booted_slot() == "A"
    ready_flight.good_update()


@pytest.mark.parametrize(
    ("start", "length", "shown"),
    [
        pytest.param(SUPERBLOCK, 1024, "slot B has no kernel that can be loaded", id="all-of-it"),
        pytest.param(BLOCKS_PER_GROUP, 4, r"initramfs: .* cannot be mounted", id="one-number"),
    ],
)
def test_a_slot_that_loses_its_superblock_before_it_was_ever_booted_is_left(
    ready_flight: Flight, start: int, length: int, shown: str
) -> None:
    device = ready_flight.device
    action = ready_flight.ship(ready_flight.next_version())
    device.shell.wait_for(r"rebooting: \S+ in slot B", within=LANDED)
    damage.overwrite(device, "root-b", start, length, byte=0xFF)
    device.power_cut()
    device.power_on()
    device.shell.wait_for(shown, within=300)
    ready_flight.refused(action, FELL_BACK)
    assert device.booted_slot() == "A"
    ready_flight.good_update()
