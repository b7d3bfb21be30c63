"""What the tries that a boot loader gives a trial look like from outside."""

from __future__ import annotations

from flipside_qemu.alarms import Alarm
from flipside_qemu.tree import Layer
from models.flight import LANDED, Entry, Flight

FELL_BACK = "slot B went down before its agent took over; the boot loader fell back to A"
GIVEN_UP = "flipside: nobody has confirmed this trial boot; rebooting"
"""What systemd says when a trial has taken too long, or the agent has failed too often."""


def tries(flight: Flight) -> int:
    """How many the device's boot scheme promises."""
    return flight.boot_state()["capabilities"]["trial_attempts"]


def left_after_its_tries(flight: Flight, version: str, flaw: Layer, shown: str) -> Entry:
    """Ship a sick image; see the same ending in every try, and slot A come up again."""
    shell = flight.device.shell
    promised = tries(flight)
    action = flight.ship(version, flaw)
    with shell.expecting(Alarm.PANIC, Alarm.EMERGENCY):
        for _ in range(promised):
            shell.wait_for(r"^flipside: slot B flipside\.trial=1", within=LANDED)
            shell.wait_for(shown, within=300)
    entry = flight.refused(action, FELL_BACK)
    assert flight.device.booted_slot() == "A"
    return entry
