"""The power fails at every turn of an update's life; it costs time, and nothing else.

Each moment is known by what the device itself says on its console, and the power is gone then:
QEMU is killed. The update that was under way lands, and so does the next one.
"""

from __future__ import annotations

import pytest

from flipside_qemu.board import Board
from flipside_qemu.device import Device
from flipside_qemu.image import arguments
from flipside_qemu.tree import Layer
from models.belief import believes
from models.flight import LANDED, Flight
from models.kits import KITS
from models.tries import tries

pytestmark = [
    pytest.mark.boards(*KITS),
    pytest.mark.slow,
    pytest.mark.timeout(5400),
]

TRIAL = r"^flipside: slot B flipside\.trial=1"
IN_THE_KERNEL = r"Kernel command line: .*\bflipside\.trial=1"
CHECKED = r"verifying: \S+ in slot B"

HELD_BOOTCTL = """\
#!/bin/sh
# flipside-bootctl that stops at an activation; nobody has to be quick to cut the power then.
[ "$1" = set-primary ] || exec /run/bootctl "$@"
{done} /run/bootctl "$@"
echo "held: $*" > /dev/console
exec sleep infinity
"""


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(r"installing: .* %, Checking bundle$", id="while-the-download-begins"),
        pytest.param(r"[6-8]\d %, Copying", id="while-it-is-copied"),
        pytest.param(r"rebooting: \S+ in slot B", id="after-the-activation"),
        pytest.param(IN_THE_KERNEL, id="in-the-kernel-of-the-trial"),
        pytest.param(CHECKED, id="in-the-checks-of-the-trial"),
        pytest.param(r"committing: \S+ in slot B", id="while-it-is-marked-good"),
    ],
)
def test_an_update_lands_although_the_power_fails(ready_flight: Flight, moment: str) -> None:
    device = ready_flight.device
    action = ready_flight.ship(ready_flight.next_version(), talkative(ready_flight.shop.board))
    device.shell.wait_for(moment, within=LANDED)
    device.power_cut()
    device.power_on()
    ready_flight.lands(action)
    assert device.booted_slot() == "B"
    ready_flight.good_update()


@pytest.mark.parametrize(
    ("done", "comes_up"),
    [
        pytest.param(":", "A", id="before-it"),
        pytest.param("", "B", id="after-it-and-before-anybody-wrote-that-down"),
    ],
)
def test_an_update_lands_although_the_power_fails_around_its_activation(
    ready_flight: Flight, done: str, comes_up: str
) -> None:
    device = ready_flight.device
    device.shell.check("cp /usr/bin/flipside-bootctl /run/bootctl")
    device.shell.put("/run/held-bootctl", HELD_BOOTCTL.format(done=done), mode="0755")
    device.shell.check("mount --bind /run/held-bootctl /usr/bin/flipside-bootctl")
    action = ready_flight.ship(ready_flight.next_version())
    device.shell.wait_for("held: set-primary B", within=LANDED)
    device.power_cut()
    device.power_on()
    assert device.shell.wait_for(r"^flipside: slot (\w)", within=120)[1] == comes_up
    ready_flight.lands(action)
    assert device.booted_slot() == "B"
    ready_flight.good_update()


def test_a_success_is_told_although_the_power_fails_before_it_could_be(
    ready_flight: Flight,
) -> None:
    device = ready_flight.device
    action = ready_flight.ship(ready_flight.next_version())
    device.shell.wait_for(CHECKED, within=LANDED)
    ready_flight.server.kill()
    device.shell.wait_for(r"reporting: \S+ in slot B", within=300)
    device.power_cut()
    ready_flight.server.start()
    device.power_on()
    ready_flight.lands(action)
    ready_flight.good_update()


def test_all_tries_but_one_may_be_cut_off_before_a_healthy_slot_is_left(
    ready_flight: Flight,
) -> None:
    device = ready_flight.device
    cuts = tries(ready_flight) - 1
    action = ready_flight.ship(ready_flight.next_version())
    for _ in range(cuts):
        device.shell.wait_for(TRIAL, within=LANDED)
        # So late that the boot loader's count of this try is on the disk for certain.
        device.shell.wait_for(CHECKED, within=300)
        device.power_cut()
        device.power_on()
    device.shell.wait_for(TRIAL, within=120)
    ready_flight.lands(action)
    assert device.booted_slot() == "B"
    ready_flight.good_update()


def test_a_confirmed_slot_is_left_after_its_interrupted_boots_and_not_before(
    ready_flight: Flight,
) -> None:
    device = ready_flight.device
    ready_flight.good_update()
    allowed = ready_flight.boot_state()["capabilities"]["confirmed_attempts"]
    assert left(ready_flight, "B") == allowed

    boots = [interrupted_boot(device) for _ in range(allowed - 1)]
    assert boots == ["B"] * (allowed - 1)
    device.reset()
    device.boot()
    assert device.booted_slot() == "B"
    device.shell.check("until [ -e /run/flipside/confirmed ]; do sleep 1; done")
    assert left(ready_flight, "B") == allowed

    boots = [interrupted_boot(device) for _ in range(allowed)]
    assert boots == ["B"] * allowed
    device.reset()
    device.boot()
    assert device.booted_slot() == "A"
    assert left(ready_flight, "B") == 0
    believes(ready_flight.server, slot="A", version="1")
    ready_flight.good_update()
    assert device.booted_slot() == "B"


def talkative(board: Board) -> Layer:
    """A kernel that says who it is as soon as it has a console."""
    return board.told(*arguments(board), "loglevel=6")


def interrupted_boot(device: Device) -> str:
    """The slot that the boot loader starts; the reset button is pressed before userspace is up."""
    device.reset()
    return device.shell.wait_for(r"^flipside: slot (\w)", within=120)[1]


def left(flight: Flight, slot: str) -> int:
    """Boots that a slot still has."""
    return flight.boot_state()["slots"][slot]["left"]
