"""Images that come up and are sick: the agent finds out and rolls back, or is not able to.

An agent that works names the check that failed. Where it does not work, systemd and the boot
loader's count of tries end the trial without it.
"""

from __future__ import annotations

import pytest

from flipside_qemu import faults
from flipside_qemu.tree import Layer
from models.flight import LANDED, Flight
from models.tries import GIVEN_UP, left_after_its_tries, tries

pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400)]

FLAWS: dict[str, Layer] = {
    "no-python": faults.missing_python(),
    "no-data": faults.refused_data(),
    "broken-agent": faults.broken_agent(),
    "silent-agent": faults.short_trial(faults.silent_agent(), 30),
}


@pytest.mark.parametrize("version", FLAWS)
def test_an_image_whose_agent_does_not_get_to_work_is_left_after_its_tries(
    ready_flight: Flight, version: str
) -> None:
    left_after_its_tries(ready_flight, version, FLAWS[version], GIVEN_UP)
    ready_flight.good_update()


def test_a_check_that_hangs_is_given_up_at_the_deadline(ready_flight: Flight) -> None:
    action = ready_flight.ship("hanging-check", faults.hanging_check("modem", deadline=20))
    entry = ready_flight.refused(action, "required/modem", "had not passed after 20 s")
    assert entry["check"] == "required/modem"
    assert any("health check required/modem failed" in line for line in entry["journal"])
    assert ready_flight.device.booted_slot() == "A"
    ready_flight.good_update()


def test_a_check_that_fails_once_and_then_passes_is_no_fault(ready_flight: Flight) -> None:
    shell = ready_flight.device.shell
    action = ready_flight.ship("hesitant", faults.hesitant_check("modem", "no carrier yet"))
    ready_flight.lands(action)
    said = shell.check("journalctl -b -o cat --no-pager -u flipside-check@required-modem")
    assert said.count("no carrier yet") == 1
    ready_flight.good_update()


def test_a_machine_that_is_reset_while_it_is_checked_is_left_after_its_tries(
    ready_flight: Flight,
) -> None:
    device = ready_flight.device
    action = ready_flight.ship("resetting", faults.resetting_check("selftest"))
    for _ in range(tries(ready_flight)):
        device.shell.wait_for(r"verifying: \S+ in slot B", within=LANDED)
    ready_flight.refused(action, "slot B went down while it was verified", "fell back to A")
    assert device.booted_slot() == "A"
    ready_flight.good_update()


def test_an_image_without_a_message_bus_is_left_with_the_reason(ready_flight: Flight) -> None:
    """The agent finds out, but cannot have the device reboot: the timer does that."""
    action = ready_flight.ship("no-bus", faults.short_trial(faults.dead_bus(), 90))
    entry = ready_flight.refused(action, "dbus.service")
    assert entry["check"] == "dbus.service"
    assert ready_flight.device.booted_slot() == "A"
    ready_flight.good_update()
