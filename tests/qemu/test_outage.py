"""The server, or the agent, goes away in the middle; no byte is fetched twice."""

from __future__ import annotations

import time

import pytest

from models.flight import Flight

pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400)]

HALFWAY = r"[5-8]\d %, Copying"
BLOCK = 256 * 1024
SPARE = 8 * BLOCK
"""What may be fetched again: blocks that were under way when the line broke."""


def test_an_outage_of_twenty_seconds_does_not_end_the_installation(flight: Flight) -> None:
    action = flight.ship("2")
    flight.told(action, HALFWAY)
    flight.server.kill()
    time.sleep(20)  # the length of the outage
    flight.server.start()
    result = flight.result(action)
    assert result.state == "finished", result.messages
    begun = [message for message in result.messages if message.endswith("0 %, Installing")]
    assert len(begun) <= 1, "RAUC was started once"


def test_an_outage_of_six_minutes_ends_it_but_it_is_taken_up_from_the_spool(
    flight: Flight,
) -> None:
    shell = flight.device.shell
    size = flight.shop.ship("2", {}).size
    action = flight.ship("2")
    flight.told(action, HALFWAY)
    flight.server.kill()
    time.sleep(360)  # the length of the outage; RAUC's reads fail from the fifth minute on
    # Each costs it eleven seconds, and some are only read ahead: it may bear a few minutes more.
    shell.wait_for(r"Installing failed", within=900)
    flight.server.start()
    shell.wait_for(r"rebooting", within=900)
    assert flight.fetched() <= size + SPARE
    result = flight.result(action)
    assert result.state == "finished", result.messages


def test_an_agent_that_is_restarted_takes_up_the_installation_from_the_spool(
    flight: Flight,
) -> None:
    shell = flight.device.shell
    size = flight.shop.ship("2", {}).size
    action = flight.ship("2")
    flight.told(action, HALFWAY)
    shell.check("systemctl restart flipside-agent", within=300)
    shell.wait_for(r"rebooting", within=900)
    assert flight.fetched() <= size + SPARE
    result = flight.result(action)
    assert result.state == "finished", result.messages
