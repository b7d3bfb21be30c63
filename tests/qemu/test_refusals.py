"""Two hundred refused updates without a reboot leave an agent as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from flipside_qemu.device import Device
from flipside_qemu.story import Flaw
from flipside_qemu.theatre import provision
from flipside_qemu.update_server import UpdateServer, free_port
from flipside_qemu.workshop import NAME, TARGET, Workshop, flaw_layer
from models.flight import Flight

pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400)]

REFUSALS = 200
SETTLED = 20
"""Refusals after which everything has been loaded and every cache is filled."""
SLACK = 1024
"""KiB by which the agent may have grown: the allocator's, not a leak's, which would be 180 times
whatever one refusal costs."""

LOOKS = 10
CONNECTIONS = 1
"""Files that come and go: the connection to the server."""


@dataclass(frozen=True, slots=True)
class Size:
    """What the agent holds."""

    pss: int
    """KiB."""
    files: int
    threads: int


def test_refusals_leave_the_agent_as_it_was(
    shop: Workshop, new_device: Callable[..., Device], tmp_path: Path
) -> None:
    server = UpdateServer(tmp_path / "server", free_port(), poll="00:00:01")
    server.start()
    given = provision(server)
    hasty = given["flipside/device.toml"].replace(b"[server]\n", b"[server]\npoll_shortest = 1\n")
    device = new_device({"flipside/device.toml": hasty})
    device.boot()
    flight = Flight(shop, server, device)
    bundle = shop.ship("refused", flaw_layer(Flaw.FORGED), "forger")
    sizes = {}
    for number in range(1, REFUSALS + 1):
        metadata = {"flipside.manifest-hash": bundle.manifest_hash}
        server.add_bundle(bundle.path, NAME, f"refused-{number}", metadata)
        action = server.assign(TARGET, NAME, f"refused-{number}")
        assert flight.result(action).state == "error"
        if number in (SETTLED, REFUSALS):
            sizes[number] = _size(flight)
    before, after = sizes[SETTLED], sizes[REFUSALS]
    assert after.threads == before.threads
    assert after.files <= before.files + CONNECTIONS
    assert after.pss <= before.pss + SLACK
    flight.good_update()
    server.stop()


def _size(flight: Flight) -> Size:
    shell = flight.device.shell
    agent = shell.check("systemctl show --value -p MainPID flipside-agent").strip()
    # What the agent shares with another interpreter that happens to run counts half: the largest of
    # several looks is that of an agent alone.
    pss = f"awk '/^Pss:/ {{ print $2 }}' /proc/{agent}/smaps_rollup; sleep 1"
    rollups = shell.check(f"for look in $(seq {LOOKS}); do {pss}; done", within=120).split()
    files = shell.check(f"ls /proc/{agent}/fd | wc -l")
    threads = shell.check(f"ls /proc/{agent}/task | wc -l")
    return Size(max(map(int, rollups)), int(files), int(threads))
