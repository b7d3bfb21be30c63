"""What is inspected is what is installed: by RAUC's own pin where it has one, by ours always."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flipside_qemu import workshop
from flipside_qemu.device import Device
from flipside_qemu.theatre import provision
from flipside_qemu.update_server import UpdateServer, free_port
from flipside_qemu.workbench import Workbench
from flipside_qemu.workshop import Workshop
from models.flight import Flight
from models.two_faced import TwoFaced

pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400)]

VERSIONS = {"trixie": "1.13", "forky": "1.15"}


@pytest.fixture(params=list(VERSIONS))
def suite(request: pytest.FixtureRequest) -> str:
    """A suite of Debian with its RAUC."""
    return str(request.param)


@pytest.fixture
def suite_shop(suite: str, bench: Workbench) -> Workshop:
    """Images of that suite."""
    return workshop.equip(bench, suite)


def test_a_server_that_exchanges_the_bundle_after_the_inspection_is_refused(
    suite: str,
    suite_shop: Workshop,
    new_device: Callable[..., Device],
    tmp_path: Path,
) -> None:
    shown, installed = suite_shop.ship("2", {}), suite_shop.ship("3", {})
    port = free_port()
    server = UpdateServer(tmp_path / "server", port)
    server.start()
    with TwoFaced(port, shown.path, installed.path) as liar:
        url = f'url = "http://10.0.2.2:{liar.port}"'
        text = provision(server)["flipside/device.toml"].decode()
        given = text.replace(f'url = "{server.url}"', url).encode()
        device = new_device({"flipside/device.toml": given}, suite_shop)
        device.boot()
        assert VERSIONS[suite] in device.shell.check("rauc --version")
        before = device.shell.check("sha256sum /dev/disk/by-partlabel/root-b", within=300)
        flight = Flight(suite_shop, server, device)
        result = flight.result(flight.ship("2"))
        assert liar.turned
        assert result.state == "error", result.messages
        assert device.shell.check("sha256sum /dev/disk/by-partlabel/root-b", 300) == before
        assert device.booted_slot() == "A"
    server.stop()


def test_the_cycle_with_the_newer_rauc_pins_the_manifest(
    server: UpdateServer, bench: Workbench, new_device: Callable[..., Device]
) -> None:
    shop = workshop.equip(bench, "forky")
    device = new_device(provision(server), shop)
    device.boot()
    interface = device.shell.check("rauc --version")
    assert VERSIONS["forky"] in interface
    flight = Flight(shop, server, device)
    result = flight.result(flight.ship("2"))
    assert result.state == "finished", result.messages
    device.boot()
    assert flight.version() == "2"
