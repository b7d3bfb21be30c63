"""A long walk on one device: good and bad updates, cuts, kills and outages, in any order."""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from flipside_qemu.alarms import Alarm
from flipside_qemu.story import Flaw
from flipside_qemu.workshop import NAME, TARGET, flaw_layer
from models.flight import Flight

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

SEED = int(os.environ.get("FLIPSIDE_SEED") or secrets.randbelow(10**6))
GROWTH = 2 << 20
"""Bytes by which the data partition may be fuller after the walk; what is kept there is bounded."""
COPYING = r"[4-7]\d %, Copying"

Mishap = Callable[[Flight, int], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One update: what is shipped, what happens meanwhile, and how it must end."""

    name: str
    flaw: Flaw = Flaw.NONE
    mishap: Mishap | None = None

    @property
    def succeeds(self) -> bool:
        """No mishap may cost a good update."""
        return self.flaw is Flaw.NONE


def cut_while_copying(flight: Flight, action: int) -> None:
    """The power goes in the middle of the write."""
    flight.told(action, COPYING)
    flight.device.power_cut()
    flight.device.power_on()


def cut_on_trial(flight: Flight, action: int) -> None:
    """The power goes while the new system boots for the first time."""
    flight.device.shell.wait_for(r"flipside: slot . flipside\.trial=1", within=600)
    flight.device.power_cut()
    flight.device.power_on()


def agent_killed(flight: Flight, action: int) -> None:
    """The agent dies in the middle of the write."""
    flight.told(action, COPYING)
    flight.device.shell.check("systemctl kill -s KILL flipside-agent")


def rauc_killed(flight: Flight, action: int) -> None:
    """RAUC dies in the middle of the write."""
    flight.told(action, COPYING)
    flight.device.shell.check("systemctl kill -s KILL rauc")


def outage(flight: Flight, action: int) -> None:
    """The server is gone for a while in the middle of the write."""
    flight.told(action, COPYING)
    flight.server.kill()
    time.sleep(15)  # the length of the outage
    flight.server.start()


DECK = (
    *[Step("good")] * 7,
    *[Step("forged", Flaw.FORGED)] * 9,
    *[Step("sick", Flaw.SICK)] * 3,
    *[Step("panics", Flaw.PANIC)] * 2,
    *[Step("cut while copying", mishap=cut_while_copying)] * 2,
    *[Step("cut on trial", mishap=cut_on_trial)] * 2,
    *[Step("agent killed", mishap=agent_killed)] * 2,
    *[Step("RAUC killed", mishap=rauc_killed)] * 2,
    Step("server gone", mishap=outage),
)


def test_a_long_walk_ends_well_and_leaves_nothing_behind(flight: Flight) -> None:
    steps = random.Random(SEED).sample(DECK, len(DECK))
    used = 0
    with _told_if_it_fails(steps):
        for number, step in enumerate(steps):
            _walk(flight, number, step)
            used = used or _used(flight)
    assert _used(flight) <= used + GROWTH


def _walk(flight: Flight, number: int, step: Step) -> None:
    slot = flight.device.booted_slot()
    action = _offer(flight, number, step)
    with flight.device.shell.expecting(Alarm.PANIC, Alarm.FILESYSTEM):
        if step.mishap:
            step.mishap(flight, action)
        belief = flight.result(action)
        entry = flight.ended(action)
    where = f"step {number}, {step.name}"
    assert belief.state == ("finished" if step.succeeds else "error"), (where, belief.messages)
    assert entry["verdict"] == ("success" if step.succeeds else "failure"), where
    assert (flight.device.booted_slot() != slot) == step.succeeds, where
    assert flight.is_confirmed(flight.device.booted_slot()), where


def _offer(flight: Flight, number: int, step: Step) -> int:
    """Ship one of a few images under a version of its own."""
    signer = "forger" if step.flaw is Flaw.FORGED else "owner"
    bundle = flight.shop.ship(f"walk-{step.flaw}", flaw_layer(step.flaw), signer)
    version = f"step-{number}"
    metadata = {"flipside.manifest-hash": bundle.manifest_hash}
    flight.server.add_bundle(bundle.path, NAME, version, metadata)
    return flight.server.assign(TARGET, NAME, version)


def _used(flight: Flight) -> int:
    """Bytes in use on the data partition."""
    return int(flight.device.shell.check("sync; df --output=used --block-size=1 /data | tail -1"))


@contextmanager
def _told_if_it_fails(steps: list[Step]) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        walk = ", ".join(f"{number} {step.name}" for number, step in enumerate(steps))
        error.add_note(f"once more: FLIPSIDE_SEED={SEED} make chapters CHAPTERS=walk\n{walk}")
        raise
