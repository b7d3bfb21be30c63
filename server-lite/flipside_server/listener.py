"""Where the server listens: an address that is safe or said to be unsafe, and a thread on it."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import re
import resource
import socket
import ssl
import threading
from asyncio import sslproto
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from flipside_server.connection import Connection
from flipside_server.errors import OperatorError
from flipside_server.response import App
from flipside_server.traffic import Office, Traffic

_BACKLOG = 512
_OTHER_FILES = 128
"""Files of the process that are no connections: the store's, the downloads', the threads'."""
_TLS_BUFFER = 16 << 10
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Nobody else can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address(text: str) -> Address:
    """The address in HOST:PORT or [IPv6]:PORT."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]/]+)):([0-9]{1,5})", text)
    if found is None or int(found[3]) > 65535:
        raise OperatorError(f"{text!r} is no address: give HOST:PORT, for example 127.0.0.1:8080")
    return Address(found[1] or found[2], int(found[3]))


def refuse_open_air(where: Address, *, tls: bool, insecure: bool) -> None:
    """Let nobody serve tokens in clear text to a network by mistake."""
    if not (where.loopback or tls or insecure):
        raise OperatorError(
            f"{where} can be reached from the network, and without TLS everybody there can read "
            "the targets' tokens: give --tls-cert and --tls-key, or --insecure if you mean it"
        )


class Listener:
    """A thread that takes connections on one socket, and has their requests answered."""

    def __init__(
        self, office: Office, bind: Callable[[], socket.socket], tls: ssl.SSLContext | None
    ) -> None:
        self._office = office
        self._bind = bind
        self._tls = tls
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._traffic: Traffic | None = None
        self.name: Any = None
        """The address that it listens on."""

    def bind(self) -> socket.socket:
        """The socket, listening; clients wait there until ``run`` takes them."""
        bound = self._bind()
        bound.setblocking(False)
        self.name = bound.getsockname()
        return bound

    def run(self, bound: socket.socket) -> None:
        """Answer until told to stop; requests under way are finished."""
        asyncio.run(self._run(bound))

    def wait(self) -> None:
        """Until clients are taken."""
        self._ready.wait()

    def stop(self) -> None:
        """Have ``run`` end. From any thread."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stop.set)

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return self._traffic.connections if self._traffic is not None else 0

    def have(self, job: Callable[[], None], within: float) -> bool:
        """Have the thread do this between two clients; whether it came to it. From any other."""
        assert self._loop is not None
        done = threading.Event()

        def work() -> None:
            job()
            done.set()

        self._loop.call_soon_threadsafe(work)
        return done.wait(within)

    async def _run(self, bound: socket.socket) -> None:
        self._loop = loop = asyncio.get_running_loop()
        office = self._office
        most = min(_most(), office.limits.connections)
        with ThreadPoolExecutor(office.threads, thread_name_prefix="request") as pool:
            self._traffic = traffic = Traffic(office, pool, most)
            server = await self._serve(loop, bound, lambda: Connection(traffic))
            watch = asyncio.create_task(traffic.look_after())
            self._ready.set()
            await self._stop.wait()
            server.close()
            await traffic.end()
            watch.cancel()
            # The last connections say good-bye.
            await asyncio.sleep(0)

    async def _serve(
        self, loop: asyncio.AbstractEventLoop, bound: socket.socket, make: Any
    ) -> asyncio.Server:
        if self._tls is None:
            return await loop.create_server(make, sock=bound, backlog=_BACKLOG)
        # asyncio gives every connection with TLS a buffer of 256 KiB, which a thousand silent
        # clients would turn into 256 MiB; requests are small.
        sslproto.SSLProtocol.max_size = _TLS_BUFFER
        return await loop.create_server(
            make,
            sock=bound,
            backlog=_BACKLOG,
            ssl=self._tls,
            ssl_handshake_timeout=self._office.limits.handshake,
            ssl_shutdown_timeout=2,
        )


def tcp_listener(office: Office, where: Address, tls: ssl.SSLContext | None = None) -> Listener:
    """A listener for devices, not yet listening."""
    scheme = "https" if tls is not None else "http"
    environ = {**_environ(scheme), "SERVER_NAME": where.host, "SERVER_PORT": str(where.port)}

    def bind() -> socket.socket:
        try:
            found = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)
            family, *_, name = found[0]
            return socket.create_server(name[:2], family=family, backlog=_BACKLOG)
        except OSError as error:
            raise OperatorError(f"cannot listen on {where}: {error}") from error

    return Listener(replace(office, environ=environ), bind, tls)


def unix_listener(app: App, path: str) -> Listener:
    """A listener on a Unix socket that its owner alone may use, not yet listening."""
    environ = {**_environ("http"), "SERVER_NAME": "localhost", "SERVER_PORT": ""}

    def bind() -> socket.socket:
        bound = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            with suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108  # a name that fits a socket, see short_path
            bound.bind(path)
            bound.listen(_BACKLOG)
        except OSError as error:
            bound.close()
            raise OperatorError(f"cannot listen on {path}: {error}") from error
        finally:
            os.umask(before)
        return bound

    return Listener(Office(app, streamed=True, threads=4, environ=environ), bind, None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Listen and answer; at the end, let requests under way finish."""
    bound = listener.bind()
    thread = threading.Thread(target=listener.run, args=(bound,), name="listener", daemon=True)
    thread.start()
    listener.wait()
    try:
        yield
    finally:
        listener.stop()
        thread.join()


class _Errors:
    """Where an application writes what broke it."""

    def write(self, text: str) -> None:
        _log.critical("this is a bug, please report it: %s", text)

    def flush(self) -> None:
        """Nothing waits here."""


def _environ(scheme: str) -> dict[str, Any]:
    # PEP 3333, "environ Variables".
    return {
        "SCRIPT_NAME": "",
        "REMOTE_ADDR": "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.errors": _Errors(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "wsgi.file_wrapper": _as_it_is,
    }


def _as_it_is(body: Any, _: int = 0) -> Any:
    # PEP 3333, "Optional Platform-Specific File Handling": else the application would read the
    # beginning of a file itself, and the kernel could no longer copy it.
    return body


def _most() -> int:
    """How many connections there is room for; the limit that nobody asked for is lifted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(wanted, soft if soft != resource.RLIM_INFINITY else wanted) - _OTHER_FILES
