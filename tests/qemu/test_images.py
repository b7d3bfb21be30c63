"""Images that do not get as far as a running system: each is left, and the truth told.

The boot loader gives a trial a few boots. Whatever ends them, a kernel that panics, a watchdog that
bites, systemd's timer for unconfirmed trials, the device is back on slot A, and its agent there
tells the server what has become of slot B.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flipside_qemu import damage, faults
from flipside_qemu.board import Board
from flipside_qemu.tree import Layer
from models.flight import LANDED, Flight
from models.kits import KITS
from models.tries import FELL_BACK, GIVEN_UP, left_after_its_tries, tries

pytestmark = [
    pytest.mark.boards(*KITS),
    pytest.mark.slow,
    pytest.mark.timeout(5400),
]

FLAWS: dict[str, tuple[Layer | Callable[[Board], Layer], str]] = {
    "panic": (faults.kernel_panic(), "Kernel panic"),
    "init-is-noise": (faults.destroyed_init(), "Kernel panic"),
    "lost-root": (faults.lost_root, "initramfs: there is no partition root-c, rebooting"),
    "stuck-unit": (faults.short_trial(faults.stuck_unit(), 30), GIVEN_UP),
    "frozen-init": (faults.frozen_init(watchdog=15), r"systemd\[1\]: Freezing execution"),
}
"""Versions, each with its flaw and what the console shows of it in every try."""
SUPERBLOCK = 1024
"""Where a superblock of ext4 begins and how long it is, in bytes."""
BLOCKS_PER_GROUP = SUPERBLOCK + 32
"""A number in it that the kernel checks and boot loaders do not read."""
NO_KERNEL = "slot B has no kernel that can be loaded"
NO_ROOT = r"initramfs: .* cannot be mounted"


@pytest.mark.parametrize("version", FLAWS)
def test_an_image_that_does_not_come_up_is_left_after_its_tries(
    ready_flight: Flight, version: str
) -> None:
    board = ready_flight.shop.board
    if version == "frozen-init" and not board.hardware.watchdog:
        pytest.skip(f"{board.name} has no watchdog, and nothing else ends a frozen PID 1")
    flaw, shown = FLAWS[version]
    ready_flight.device.qmp.events()
    layer = flaw(board) if callable(flaw) else flaw
    left_after_its_tries(ready_flight, version, layer, shown)
    bites = [event for event in ready_flight.device.qmp.events() if event.name == "WATCHDOG"]
    assert len(bites) == (tries(ready_flight) if version == "frozen-init" else 0)
    ready_flight.good_update()


@pytest.mark.parametrize(
    ("start", "length", "shown"),
    [
        pytest.param(SUPERBLOCK, 1024, NO_KERNEL, id="all-of-it"),
        pytest.param(BLOCKS_PER_GROUP, 4, NO_ROOT, id="one-number"),
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
    reads_slots = ready_flight.shop.board.loader.reads_slots
    device.shell.wait_for(shown if reads_slots else NO_ROOT, within=300)
    ready_flight.refused(action, FELL_BACK)
    assert device.booted_slot() == "A"
    ready_flight.good_update()
