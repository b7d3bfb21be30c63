"""``flipside-agent``: the agent itself, and a look at its configuration.

The one module that names concrete classes: it puts the adapters behind the ports and starts the
main loop.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from flipside_agent import ddi
from flipside_agent.address import Address
from flipside_agent.boot import Boot
from flipside_agent.bus import Bus
from flipside_agent.config import DEVICE, POLICY, Config, load
from flipside_agent.contact import Line
from flipside_agent.errors import AgentError, OperatorError
from flipside_agent.hawkbit import Hawkbit
from flipside_agent.health import Checks
from flipside_agent.herald import Herald
from flipside_agent.installer import BundleInstaller
from flipside_agent.journal import Journal, sole_owner
from flipside_agent.journald import last_line
from flipside_agent.notify import notify_from, watchdog_interval
from flipside_agent.pages import FilePages
from flipside_agent.payment import Payment
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
from flipside_hal.errors import BoardError

JOURNAL: Final = Path("/data/flipside/journal")
TICK: Final = 20.0
"""Seconds between two signs of life where systemd asks for none."""
EXIT_CODES: Final = """\
exit status:
  0  done
  2  the command line cannot be understood
  3  the configuration is at fault; the message names file, key and value
  4  the device is at fault: its board, its journal, its message bus
"""

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; whatever may be expected to fail is told in one line."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
    except (AgentError, BoardError) as error:
        print(f"flipside-agent: {error}", file=sys.stderr)
        return 3 if isinstance(error, OperatorError) else 4
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flipside-agent",
        description="Keeps this device up to date, and on a good slot.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    files = argparse.ArgumentParser(add_help=False)
    files.add_argument("--policy", type=Path, default=POLICY, help="(default: %(default)s)")
    files.add_argument("--device", type=Path, default=DEVICE, help="(default: %(default)s)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", parents=[files], help="be the agent, until told to stop")
    run.add_argument("--journal", type=Path, default=JOURNAL, help="(default: %(default)s)")
    run.set_defaults(command=_run)
    check = commands.add_parser("check-config", parents=[files], help="read the configuration")
    check.set_defaults(command=_check_config)
    return parser


def _check_config(options: argparse.Namespace) -> None:
    config = load(options.policy, options.device)
    for warning in config.warnings:
        print(f"warning: {warning}")
    print(f"server      {config.server.address.site}{config.server.address.target}")
    print(f"controller  {config.device.controller_id or board.identity()}")


def _run(options: argparse.Namespace) -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="flipside: %(message)s")
    boot = this_boot()
    try:
        config = load(options.policy, options.device)
    except OperatorError:
        if not boot.trial:
            asyncio.run(_confirm())
        raise
    for warning in config.warnings:
        log.warning("%s", warning)
    with sole_owner(options.journal):
        asyncio.run(_live(config, options.journal, boot))


async def _confirm() -> None:
    """Confirm the running slot and no more: a slip in a file must not cost a good slot."""
    bus = Bus()
    try:
        await Rauc(bus).mark("good", "booted")
    finally:
        await bus.close()


async def _live(config: Config, journal: Path, boot: Boot) -> None:
    """Run the service until SIGTERM."""
    bus = Bus()
    life = asyncio.ensure_future(compose(config, journal, boot, bus).run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, life.cancel)
    try:
        await life
    except asyncio.CancelledError:
        notify_from(os.environ).stopping()
        log.info("told to stop")
    finally:
        await bus.close()


def compose(config: Config, journal: Path, boot: Boot, bus: Bus) -> Service:
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
    payment = Payment(installer, health, Logind(bus), server, line)
    ports = Ports(payment, server, line, herald, notifier, random.random)
    tick = watchdog_interval(os.environ, os.getpid()) or TICK
    runner = Runner(Journal(FilePages(journal)), boot)
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
