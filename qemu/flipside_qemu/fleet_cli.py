"""The command `flipside-fleet`: thousands of devices that do not exist, at any DDI server."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import sys
import time
from argparse import Namespace
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from flipside_agent.address import address_of
from flipside_agent.errors import AgentError
from flipside_qemu import fleet_credentials as credentials
from flipside_qemu.errors import HarnessError, HostError, OperatorError
from flipside_qemu.fleet import Fleet, Plan, Server
from flipside_qemu.fleet_board import Nature
from flipside_qemu.fleet_bundle import Manner
from flipside_qemu.fleet_fate import Odds
from flipside_qemu.fleet_load import Generator, Load
from flipside_qemu.fleet_options import parser
from flipside_qemu.fleet_picture import picture
from flipside_qemu.fleet_report import Report
from flipside_qemu.fleet_request import Kind
from flipside_qemu.fleet_tally import Tally
from flipside_qemu.fleet_wire import trusting

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


if __name__ == "__main__":
    sys.exit(main())
