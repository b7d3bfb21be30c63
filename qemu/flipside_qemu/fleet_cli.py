"""The command `flipside-fleet`: thousands of devices that do not exist, at any DDI server."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import re
import resource
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from flipside_agent.address import address_of
from flipside_agent.errors import AgentError
from flipside_qemu import fleet_credentials as credentials
from flipside_qemu.errors import HarnessError, HostError, OperatorError
from flipside_qemu.fleet import Fleet, Plan, Server
from flipside_qemu.fleet_board import Nature
from flipside_qemu.fleet_bundle import Manner
from flipside_qemu.fleet_fate import Odds
from flipside_qemu.fleet_load import KINDS, Generator, Load
from flipside_qemu.fleet_picture import picture
from flipside_qemu.fleet_report import Report
from flipside_qemu.fleet_request import Kind
from flipside_qemu.fleet_tally import Tally
from flipside_qemu.fleet_wire import trusting

EXIT_CODES: Final = """\
exit status:
  0  every device ended as its world says it had to
  1  a device did not, or a request went wrong under --load; the output says which
  2  the operator is at fault: an argument, a file that is not there
  3  this machine is at fault: a command that fails, a file that cannot be written
"""
_UNITS: Final = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}

T = TypeVar("T")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the fleet or the load; whatever may be expected to fail is told in one line."""
    options = parser().parse_args(argv)
    logging.getLogger("flipside_agent").addHandler(logging.NullHandler())
    try:
        report = _run(options)
        if options.json:
            _write(options.json, json.dumps(report.document(), indent=2) + "\n")
    except HarnessError as error:
        print(f"flipside-fleet: {error}", file=sys.stderr)
        return error.exit_code
    except AgentError as error:  # a server that cannot be asked for what a load needs
        print(f"flipside-fleet: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("flipside-fleet: interrupted.", file=sys.stderr)
        return 130
    print("\n".join(report.lines()))
    return 1 if report.flaws else 0


def _run(options: Namespace) -> Report:
    _open_files()
    server = _server(options)
    devices = _devices(options)
    if options.load:
        return _on_the_loop(_loaded(options, server, devices))
    return _on_the_loop(_lived(options, server, devices))


async def _lived(options: Namespace, server: Server, devices: Mapping[str, str]) -> Report:
    fleet = Fleet(server, _plan(options), devices)
    title = f"{fleet.size:,} devices at {server.address.site}"
    show = picture(fleet.tally, fleet.size, title, plain=options.plain)
    started, used = time.monotonic(), time.process_time()
    watching = asyncio.create_task(show.watch())
    try:
        flaws = await fleet.run()
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    spent = time.monotonic() - started, time.process_time() - used
    return Report(fleet.size, options.seed, *spent, fleet.tally, flaws)


async def _loaded(options: Namespace, server: Server, devices: Mapping[str, str]) -> Report:
    load = Load(Kind(options.load), options.workers, options.requests, options.duration)
    if not load.requests and load.seconds is None and load.kind is not Kind.REGISTRATION:
        raise OperatorError("this load never ends: give --requests or --duration")
    generator = Generator(server, load, devices)
    requests = await generator.prepare()
    tally = Tally()
    started, used = time.monotonic(), time.process_time()
    await generator.send(requests, tally)
    spent = time.monotonic() - started, time.process_time() - used
    return Report(len(devices), options.seed, *spent, tally, list(tally.errors))


def _on_the_loop(work: Coroutine[Any, Any, T]) -> T:
    # Costs a third of asyncio's own loop (docs/fleet.md).
    import uvloop

    return uvloop.run(work)


def _server(options: Namespace) -> Server:
    address = address_of(options.server)
    if address is None:
        raise OperatorError(
            f"{options.server!r} is no address of a server, expected http(s)://HOST[:PORT]"
        )
    tls = trusting(options.ca) if address.site.scheme == "https" else None
    return Server(address, options.tenant, tls, options.keep, options.at_once)


def _plan(options: Namespace) -> Plan:
    if options.fail + options.sick + options.fallback > 1:
        raise OperatorError("--fail, --sick and --fallback are shares of all, expected at most 1")
    nature = Nature(
        odds=Odds(options.fail, options.sick, options.fallback, options.cut),
        boot=options.boot,
        check=options.check,
        link=options.link,
        manner=Manner(options.download),
        poll_factor=options.poll_factor,
        version=options.version,
    )
    return Plan(nature, options.seed, options.ramp, options.updates, options.duration, options.ask)


def _devices(options: Namespace) -> dict[str, str]:
    if options.save_tokens and not options.provision:
        raise OperatorError("--save-tokens keeps what --provision prints: give both or neither")
    if options.tokens:
        return credentials.tokens(options.tokens, options.prefix or "", options.devices)
    found = credentials.names(options.prefix or "fleet-", options.devices or 100)
    if options.gateway_token_file:
        return credentials.gateway(options.gateway_token_file, found)
    if not options.provision:
        return dict.fromkeys(found, "")
    proofs = asyncio.run(credentials.provisioned(options.provision, found))
    if options.save_tokens:
        _write(options.save_tokens, credentials.written(proofs))
    return proofs


def _write(path: Path, text: str) -> None:
    """Write a file that nobody else may read: it may hold tokens."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
    except OSError as error:
        raise HostError(f"cannot write {path}: {error.strerror}") from error


def _open_files() -> None:
    """Take all the files that this process may have open: each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def parser() -> ArgumentParser:
    """The whole command line."""
    whole = ArgumentParser(
        prog="flipside-fleet",
        description="Model devices that run Flipside's own agent against any DDI server.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--server", required=True, metavar="URL", help="http(s)://HOST[:PORT]")
    _add_devices(whole.add_argument_group("who they are"))
    _add_world(whole.add_argument_group("what becomes of them"))
    _add_wire(whole.add_argument_group("how they speak"))
    _add_end(whole.add_argument_group("when it ends, and what is told"))
    _add_load(whole.add_argument_group("a load instead of a life"))
    return whole


def _add_devices(group: Any) -> None:
    group.add_argument("--devices", type=_count, metavar="N", help="(default: 100, or all tokens)")
    group.add_argument("--prefix", help="of their names (default: fleet-, or all tokens)")
    group.add_argument("--tenant", default="DEFAULT", help="(default: %(default)s)")
    proofs = group.add_mutually_exclusive_group()
    proofs.add_argument(
        "--gateway-token-file", type=Path, metavar="FILE", help="the gateway token, on line one"
    )
    proofs.add_argument(
        "--tokens", type=Path, metavar="FILE", help="lines of a device's name and its token"
    )
    proofs.add_argument(
        "--provision",
        metavar="COMMAND",
        help="prints a device's token, {} in it is its name: 'flipside-server target add {}'",
    )
    group.add_argument(
        "--save-tokens", type=Path, metavar="FILE", help="keep what --provision printed"
    )


def _add_world(group: Any) -> None:
    for name, what in (
        ("fail", "whose installation fails"),
        ("sick", "that come up and fail a health check"),
        ("fallback", "that never come up, so that the boot loader falls back"),
        ("cut", "in whose installation the power fails once"),
    ):
        text = f"share of updates {what}, 0 to 1"
        group.add_argument(f"--{name}", type=_share, default=0.0, metavar="SHARE", help=text)
    group.add_argument(
        "--boot", type=_seconds, default=20.0, metavar="SECONDS", help="(default: %(default)s)"
    )
    group.add_argument(
        "--check",
        type=_seconds,
        default=5.0,
        metavar="SECONDS",
        help="that health checks take (default: %(default)s)",
    )
    group.add_argument("--version", default="1", help="that runs at first (default: %(default)s)")
    group.add_argument(
        "--seed", type=int, default=1, help="the same devices fail again (default: %(default)s)"
    )


def _add_wire(group: Any) -> None:
    group.add_argument(
        "--link", type=_speed, default=0.0, metavar="SPEED", help="of each download, as 1MB/s"
    )
    group.add_argument(
        "--download",
        choices=[str(one) for one in Manner],
        default=str(Manner.AGENT),
        help="what is fetched of a bundle, and how (default: %(default)s)",
    )
    group.add_argument(
        "--poll-factor",
        type=_seconds,
        default=1.0,
        metavar="X",
        help="times the server's polling interval (default: %(default)s)",
    )
    group.add_argument("--keep", action="store_true", help="keep connections, as stock clients do")
    group.add_argument("--ca", type=Path, metavar="FILE", help="authority of the server, PEM")
    group.add_argument(
        "--at-once",
        type=_count,
        default=256,
        metavar="N",
        help="short requests under way at most (default: %(default)s)",
    )


def _add_end(group: Any) -> None:
    group.add_argument(
        "--ramp",
        type=_seconds,
        default=5.0,
        metavar="SECONDS",
        help="over which devices are switched on (default: %(default)s)",
    )
    group.add_argument(
        "--updates",
        type=_count,
        default=0,
        metavar="N",
        help="end when each device has ended so many",
    )
    group.add_argument(
        "--duration", type=_seconds, metavar="SECONDS", help="end then (default: at Ctrl-C)"
    )
    group.add_argument(
        "--ask", action="store_true", help="ask the server at the end what it holds of each update"
    )
    group.add_argument("--json", type=Path, metavar="FILE", help="the figures, for programs")
    group.add_argument("--plain", action="store_true", help="lines, also in a terminal")


def _add_load(group: Any) -> None:
    group.add_argument(
        "--load",
        choices=[str(kind) for kind in KINDS],
        help="send requests of this kind as fast as they are answered",
    )
    group.add_argument("--requests", type=_count, default=0, metavar="N", help="how many")
    group.add_argument(
        "--workers",
        type=_count,
        default=16,
        metavar="N",
        help="connections that are used at once (default: %(default)s)",
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number from 1 on")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number from 0 to 1")
    return share


def _seconds(text: str) -> float:
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?|\.[0-9]+", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number such as 30 or 0.5")
    return float(text)


def _speed(text: str) -> float:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(|[kMG]i?)B/s", text)
    if found is None or not float(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r}, expected a speed such as 250kB/s or 1MB/s")
    return float(found[1]) * _UNITS[found[2]]


if __name__ == "__main__":
    sys.exit(main())
