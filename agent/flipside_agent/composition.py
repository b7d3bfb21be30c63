"""The agent, put together: every adapter behind its port, and the main loop that works with them.

The one module that names concrete classes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from flipside_agent import ddi
from flipside_agent.address import Address
from flipside_agent.boot import Boot
from flipside_agent.bus import Bus
from flipside_agent.chronicle import Chronicle, archive, prepare
from flipside_agent.config import Config, load
from flipside_agent.contact import Line
from flipside_agent.errors import AgentError, OperatorError
from flipside_agent.hawkbit import Hawkbit
from flipside_agent.health import Checks
from flipside_agent.herald import Herald
from flipside_agent.installer import BundleInstaller
from flipside_agent.journal import Journal, sole_owner
from flipside_agent.journald import failed_trial, last_line
from flipside_agent.notify import notify_from, watchdog_interval
from flipside_agent.pages import FilePages
from flipside_agent.payment import Payment
from flipside_agent.places import Places
from flipside_agent.rauc import Rauc
from flipside_agent.runner import Runner
from flipside_agent.service import Ports, Service
from flipside_agent.source import remote_source
from flipside_agent.spool import SpoolFolder
from flipside_agent.systemd import Logind, Units
from flipside_agent.transport import Identity, Transport
from flipside_bootctl import __version__
from flipside_bootctl.errors import BootControlError
from flipside_bootctl.scheme import detect as detect_scheme
from flipside_hal import board

TICK: Final = 20.0
"""Seconds between two signs of life where systemd asks for none."""

log = logging.getLogger(__name__)


def run(places: Places) -> None:
    """Be the agent, until told to stop."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="flipside: %(message)s")
    boot = this_boot()
    try:
        config = load(places.policy, places.device)
    except OperatorError:
        if not boot.trial:
            asyncio.run(_confirm())
        raise
    for warning in config.warnings:
        log.warning("%s", warning)
    with sole_owner(places.journal):
        _prepare(places.history)
        asyncio.run(_live(config, places, boot))


def _prepare(history: Path) -> None:
    try:
        prepare(history)
    except AgentError as error:
        log.warning("there will be no history: %s", error)


async def _confirm() -> None:
    """Confirm the running slot and no more: a slip in a file must not cost a good slot."""
    bus = Bus()
    try:
        await Rauc(bus).mark("good", "booted")
    finally:
        await bus.close()


async def _live(config: Config, places: Places, boot: Boot) -> None:
    """Run the service until SIGTERM."""
    bus = Bus()
    life = asyncio.ensure_future(compose(config, places, boot, bus).run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, life.cancel)
    try:
        await life
    except asyncio.CancelledError:
        notify_from(os.environ).stopping()
        log.info("told to stop")
    finally:
        await bus.close()


def compose(config: Config, places: Places, boot: Boot, bus: Bus) -> Service:
    """Put every adapter behind its port."""
    transport = Transport(_identity(config))
    server = Hawkbit(transport, _base(config), config.server.poll)
    notifier = notify_from(os.environ)
    herald = Herald(server, notifier)
    folder = SpoolFolder(config.spool.directory, config.spool.reserve)
    installer = BundleInstaller(
        Rauc(bus),
        lambda bundle: remote_source(bundle, transport, folder, random.random),
        folder,
        config.hold,
        herald.progress,
    )
    line = Line(server, random.random)
    health = Checks(config.health, Units(bus), server.poll, last_line)
    chronicle = Chronicle(archive(places.history), boot, _now, failed_trial)
    payment = Payment(installer, health, Logind(bus), server, line, chronicle)
    ports = Ports(payment, server, line, herald, notifier, random.random)
    tick = watchdog_interval(os.environ, os.getpid()) or TICK
    runner = Runner(Journal(FilePages(places.journal)), boot)
    return Service(runner, ports, boot, attributes(boot), tick)


def this_boot() -> Boot:
    """How this device was booted, and whether its boot loader counts that."""
    seen = board.boot()
    try:
        scheme = detect_scheme("/")
        counted, damage = scheme.capabilities.confirm_every_boot, scheme.damage()
    except BootControlError as error:
        # Then RAUC cannot read the boot state either, and will say so.
        counted, damage = True, str(error)
    if damage:
        log.warning("%s", damage)
    here = (seen.boot_id, seen.slot, seen.other, seen.trial)
    return Boot(*here, counted, damage, board.version())


def attributes(boot: Boot) -> dict[str, str]:
    """What the server is told of this device (DDI ``configData``)."""
    return {
        "board": board.detect().name,
        "version": boot.version,
        "slot": boot.slot,
        "agent": __version__,
    }


def _now() -> datetime:
    return datetime.now(UTC)


def _identity(config: Config) -> Identity:
    server = config.server
    return Identity(
        server.address.site,
        config.device.authorization,
        server.ca,
        server.client_certificate,
        server.client_key,
    )


def _base(config: Config) -> Address:
    home = config.server.address
    controller = config.device.controller_id or board.identity()
    return Address(home.site, home.target + ddi.base_path(config.server.tenant, controller))
