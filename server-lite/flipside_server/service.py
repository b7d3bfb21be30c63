"""The serving process: listens to devices and to orders until it is told to stop."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flipside_server.application import application
from flipside_server.control_socket import control_application
from flipside_server.directory import short_path
from flipside_server.errors import DirectoryHeldError
from flipside_server.front_desk import front_desk
from flipside_server.limits import LIMITS, Limits
from flipside_server.listener import Address, Listener, listening, tcp_listener, unix_listener
from flipside_server.metrics import Tally
from flipside_server.operations import Network, Operations, with_operations, with_pulse
from flipside_server.overdue import Rounds
from flipside_server.premises import Premises, milliseconds, occupied
from flipside_server.settings import Settings
from flipside_server.tls import Tls
from flipside_server.traffic import Office
from flipside_server.visit import Desk

_STOPS = {signal.SIGTERM, signal.SIGINT}
_ROUND = 5
"""Seconds between two looks at what may be due, and between two signs of life."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """How to serve."""

    data: Path
    where: Address
    settings: Settings
    tls: Tls | None = None
    near: tuple[Network, ...] = ()
    """Who besides this machine may see the figures."""
    limits: Limits = LIMITS


def serve(service: Service) -> None:
    """Serve devices and orders until SIGTERM or SIGINT."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_STOPS, signal.SIGHUP})
    with ExitStack() as stack:
        premises = stack.enter_context(occupied(service.data, create=True))
        if premises is None:
            raise DirectoryHeldError(
                f"another server serves {service.data} already: stop it or give another --data"
            )
        stack.enter_context(_taking_orders(premises))
        front = _front(service, premises)
        stack.enter_context(listening(front))
        _announce(service, Address(*front.name[:2]))
        rounds = Rounds.begun(premises.store, milliseconds, service.settings.sleep)
        _watch(service, front, rounds)
        _notify("STOPPING=1")


def _front(service: Service, premises: Premises) -> Listener:
    tally = Tally()
    desk = Desk(
        premises.store, premises.artifacts, premises.contacts, milliseconds, service.settings
    )
    operations = Operations(
        premises.store, service.data, tally, lambda: front.connections, service.near
    )
    office = Office(
        with_operations(application(desk), operations),
        with_pulse(application(front_desk(desk)), operations),
        service.limits,
        tally.observe,
    )
    front = tcp_listener(office, service.where, service.tls.context if service.tls else None)
    return front


@contextmanager
def _taking_orders(premises: Premises) -> Iterator[None]:
    place = premises.directory.socket
    with short_path(place) as path:
        try:
            with listening(unix_listener(control_application(premises.control), path)):
                yield
        finally:
            with suppress(FileNotFoundError):
                place.unlink()


def _announce(service: Service, where: Address) -> None:
    scheme = "https" if service.tls else "http"
    if not service.tls and not where.loopback:
        _log.warning("no TLS on %s: everybody on the network can read the targets' tokens", where)
    _log.info("serving devices on %s://%s, data in %s", scheme, where, service.data)
    _notify("READY=1")


def _watch(service: Service, front: Listener, rounds: Rounds) -> None:
    """Do what is due until a signal says stop."""
    while True:
        caught = signal.sigtimedwait({*_STOPS, signal.SIGHUP}, _ROUND)
        if caught is not None and caught.si_signo in _STOPS:
            _log.info("stopping on %s", signal.Signals(caught.si_signo).name)
            return
        # In the thread that shakes hands: a handshake must not see the new certificate with the
        # old key.
        if front.have(partial(_refresh, service.tls, told=caught is not None), _ROUND):
            _notify("WATCHDOG=1")
        rounds.go()


def _refresh(tls: Tls | None, *, told: bool) -> None:
    if tls is not None:
        tls.refresh(told=told)


def _notify(state: str) -> None:
    # sd_notify(3): one datagram to the service manager, if there is one.
    place = os.environ.get("NOTIFY_SOCKET", "")
    if place:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(state.encode(), place.replace("@", "\0", 1))
