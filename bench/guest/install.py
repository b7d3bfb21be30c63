"""Runs on the device: installs the assigned bundle once, in one of three ways, and counts.

python3 -I install.py direct|origin|file
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flipside_agent.address import Address
from flipside_agent.bus import Bus
from flipside_agent.config import Config, load
from flipside_agent.ddi import base_path
from flipside_agent.hawkbit import Hawkbit
from flipside_agent.installer import BundleInstaller
from flipside_agent.places import USUAL
from flipside_agent.rauc import Rauc
from flipside_agent.source import remote_source
from flipside_agent.spool import SpoolFolder
from flipside_agent.transport import Identity, Transport
from flipside_agent.update import Bundle

FILE = Path("/data/bundle.raucb")


def busy() -> float:
    """Seconds that the processor was not idle since the device was switched on (proc(5), stat)."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(fields[:8]) - fields[3] - fields[4]) / 100


@contextmanager
def measured() -> Iterator[dict[str, float]]:
    """Seconds on the wall and of the processor; filled in at the end."""
    cost: dict[str, float] = {}
    started, used = time.monotonic(), busy()
    yield cost
    cost.update(wall=time.monotonic() - started, cpu=busy() - used)


async def offered(config: Config, transport: Transport) -> Bundle:
    """The bundle that the server has for this device."""
    home = config.server.address
    path = base_path(config.server.tenant, config.device.controller_id)
    server = Hawkbit(transport, Address(home.site, home.target + path), config.server.poll)
    offer = (await server.poll()).offer
    assert offer
    return offer.bundle


async def through_origin(bundle: Bundle, config: Config, transport: Transport) -> dict[str, float]:
    """As the agent does it; the inspection, which RAUC alone would not make, is not measured."""
    folder = SpoolFolder(config.spool.directory, config.spool.reserve)
    folder.drop()
    bus = Bus()
    installer = BundleInstaller(
        Rauc(bus),
        lambda wanted: remote_source(wanted, transport, folder, random.random),
        folder,
        config.hold,
        lambda _percent, _step: None,
    )
    seen = await installer.inspect(bundle)
    with measured() as cost:
        await installer.install(bundle, seen, "B")
    await bus.close()
    return cost


def with_rauc(*arguments: str) -> dict[str, float]:
    """As RAUC does it."""
    with measured() as cost:
        subprocess.run(["rauc", "install", *arguments], check=True, stdout=subprocess.DEVNULL)
    return cost


def fetched(bundle: Bundle, authorization: str) -> str:
    """The bundle as a file on the data partition; fetching is not measured."""
    if not FILE.exists():
        request = urllib.request.Request(bundle.url, headers={"Authorization": authorization})
        with urllib.request.urlopen(request) as answer:
            FILE.write_bytes(answer.read())
    return str(FILE)


def main(way: str) -> None:
    """Install once and print the cost as JSON."""
    config = load(USUAL.policy, USUAL.device)
    authorization = config.device.authorization
    transport = Transport(Identity(config.server.address.site, authorization))
    bundle = asyncio.run(offered(config, transport))
    match way:
        case "direct":
            cost = with_rauc("--http-header", f"Authorization: {authorization}", bundle.url)
        case "origin":
            cost = asyncio.run(through_origin(bundle, config, transport))
        case _:
            cost = with_rauc(fetched(bundle, authorization))
    print(json.dumps(cost))


main(sys.argv[1])
