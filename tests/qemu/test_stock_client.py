"""rauc-hawkbit-updater and the real RAUC, on a device that has no agent of ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flipside_qemu import faults, workshop
from flipside_qemu.alarms import Alarm
from flipside_qemu.device import Device
from flipside_qemu.tree import Layer
from flipside_qemu.update_server import UpdateServer
from flipside_qemu.workbench import Workbench
from flipside_qemu.workshop import FORGER, NAME, OWNER, TARGET, Workshop
from models import debian_clients, stock_device
from models.flight import Flight

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

LONG, SHORT = "01:00:00", "00:04:00"


@pytest.fixture(scope="module")
def stock_shop(bench: Workbench) -> Workshop:
    """Images of the stock device."""
    tools = debian_clients.unpacked("forky")
    return workshop.equip(bench, files=stock_device.layer(tools))


@pytest.fixture
def fly(
    stock_shop: Workshop, server: UpdateServer, new_device: Callable[..., Device]
) -> Callable[[bool], Flight]:
    """Boots a stock device that streams bundles, or downloads them first."""

    def flown(streams: bool) -> Flight:
        unit = new_device(stock_device.provision(server, streams=streams), stock_shop)
        unit.boot()
        return Flight(stock_shop, server, unit)

    return flown


def _assign(flight: Flight, hold: str, flaw: Layer, signer: str = OWNER) -> int:
    version = flight.next_version()
    bundle = flight.shop.ship(version, flaw, signer)
    flight.server.add_bundle(bundle.path, NAME, version, {})
    return flight.server.assign(TARGET, NAME, version, "--hold", hold)


@pytest.mark.parametrize("streams", [False, True], ids=["downloads", "streams"])
def test_a_good_bundle_lands_and_a_forged_one_is_refused(
    fly: Callable[[bool], Flight], streams: bool
) -> None:
    flight = fly(streams)
    result = flight.result(_assign(flight, LONG, {}))
    assert result.state == "finished", result.messages
    assert "Software bundle installed successfully." in result.messages
    assert result.last_words == "Update Server: the device shows 2."
    flight.device.boot()
    assert (flight.version(), flight.device.booted_slot()) == ("2", "B")

    refused = flight.result(_assign(flight, LONG, {}, FORGER))
    assert refused.state == "error", refused.messages
    assert any("signature verification failed" in text for text in refused.messages)
    assert (flight.version(), flight.device.booted_slot()) == ("2", "B")


def test_a_device_that_reports_success_and_falls_back_has_failed(
    fly: Callable[[bool], Flight],
) -> None:
    flight = fly(True)
    with flight.device.shell.expecting(Alarm.PANIC):
        result = flight.result(_assign(flight, SHORT, faults.kernel_panic()))
        flight.device.boot()
    assert "Software bundle installed successfully." in result.messages
    assert result.state == "error", result.messages
    assert result.last_words.startswith("Update Server: success was reported, but the device")
    assert result.last_words.endswith("it shows 1.")
    assert (flight.version(), flight.device.booted_slot()) == ("1", "A")
    told = flight.server.show("targets")
    assert told[0]["state"] == "error"
