"""The serving process: listens to devices and to orders until it is told to stop."""

from __future__ import annotations

import logging
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from flipside_server.application import application
from flipside_server.control_socket import control_application
from flipside_server.directory import short_path
from flipside_server.errors import DirectoryHeldError
from flipside_server.listener import Address, listening, tcp_listener, unix_listener
from flipside_server.premises import Premises, milliseconds, occupied
from flipside_server.settings import Settings
from flipside_server.visit import Desk

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """How to serve."""

    data: Path
    where: Address
    settings: Settings
    tls: ssl.SSLContext | None = None


def serve(service: Service) -> None:
    """Serve devices and orders until SIGTERM or SIGINT."""
    stops = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    with ExitStack() as stack:
        premises = stack.enter_context(occupied(service.data, create=True))
        if premises is None:
            raise DirectoryHeldError(
                f"another server serves {service.data} already: stop it or give another --data"
            )
        stack.enter_context(_taking_orders(premises))
        front = tcp_listener(application(_desk(service, premises)), service.where, service.tls)
        stack.enter_context(listening(front))
        _announce(service, Address(*front.bind_addr))
        caught = signal.sigwait(stops)
        _log.info("stopping on %s", signal.Signals(caught).name)
        _notify("STOPPING=1")


def _desk(service: Service, premises: Premises) -> Desk:
    return Desk(
        premises.store, premises.artifacts, premises.contacts, milliseconds, service.settings
    )


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


def _notify(state: str) -> None:
    # sd_notify(3): one datagram to the service manager, if there is one.
    place = os.environ.get("NOTIFY_SOCKET", "")
    if place:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(state.encode(), place.replace("@", "\0", 1))
