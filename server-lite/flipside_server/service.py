"""Puts the server together: in a process that serves, or for one order on a directory at rest."""

from __future__ import annotations

import logging
import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from flipside_server.application import application
from flipside_server.artifact_folder import ArtifactFolder
from flipside_server.contacts import Contacts
from flipside_server.control import Answer, Control
from flipside_server.control_socket import RemoteControl, control_application, short_path
from flipside_server.directory import DataDirectory, held, opened
from flipside_server.errors import DirectoryHeldError, StorageError
from flipside_server.listener import Address, listening, tcp_listener, unix_listener
from flipside_server.orders import Order
from flipside_server.tiny_store import TinyStore
from flipside_server.visit import Desk

_PATIENCE = 5.0
"""Seconds to wait for a process that is about to let go of the directory."""
_PAUSE = 0.1
_log = logging.getLogger(__name__)


class CarriesOut(Protocol):
    """Whoever carries out orders: Control here, or the server that holds the directory."""

    def carry_out(self, order: Order, upload: BinaryIO | None = None) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Service:
    """How to serve."""

    data: Path
    where: Address
    sleep: str
    """Polling interval told to devices, HH:MM:SS."""
    tls: ssl.SSLContext | None = None


def serve(service: Service) -> None:
    """Serve devices and orders until SIGTERM or SIGINT."""
    stops = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    with ExitStack() as stack:
        directory = opened(service.data, create=True)
        stack.enter_context(held(directory, _PATIENCE))
        contacts = Contacts()
        store, artifacts = stack.enter_context(_contents(directory))
        control = Control(store, artifacts, contacts, milliseconds)
        stack.enter_context(_control_socket(directory, control))
        desk = Desk(store, artifacts, contacts, milliseconds, service.sleep)
        front = tcp_listener(application(desk), service.where, service.tls)
        stack.enter_context(listening(front))
        _announce(service, Address(*front.bind_addr))
        caught = signal.sigwait(stops)
        _log.info("stopping on %s", signal.Signals(caught).name)
        _notify("STOPPING=1")


@contextmanager
def reached(data: Path, *, create: bool) -> Iterator[CarriesOut]:
    """Whoever can carry out orders on this directory: the server that holds it, else we."""
    directory = opened(data, create=create)
    deadline = time.monotonic() + _PATIENCE
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(held(directory, 0))
            except DirectoryHeldError:
                if _answers(directory):
                    yield RemoteControl(directory.socket)
                    return
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE)
                continue
            store, artifacts = stack.enter_context(_contents(directory))
            yield Control(store, artifacts, Contacts(), milliseconds)
            return


def milliseconds() -> int:
    """Now, since 1970."""
    return time.time_ns() // 1_000_000


@contextmanager
def _contents(directory: DataDirectory) -> Iterator[tuple[TinyStore, ArtifactFolder]]:
    artifacts = ArtifactFolder(directory.artifacts)
    try:
        artifacts.prepare()
    except OSError as error:
        raise StorageError(f"cannot use {directory.artifacts}: {error.strerror}") from error
    store = TinyStore.open(directory.records)
    try:
        yield store, artifacts
    finally:
        store.close()


@contextmanager
def _control_socket(directory: DataDirectory, control: Control) -> Iterator[None]:
    with short_path(directory.socket) as path:
        try:
            with listening(unix_listener(control_application(control), path)):
                yield
        finally:
            with suppress(FileNotFoundError):
                directory.socket.unlink()


def _answers(directory: DataDirectory) -> bool:
    with short_path(directory.socket) as path, socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


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
