"""Where the server listens: an address that is safe or said to be unsafe, and cheroot on it."""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cheroot.makefile import StreamReader, StreamWriter
from cheroot.wsgi import Server

from flipside_server.errors import OperatorError

_THREADS = 32
"""A download holds one while it lasts; idle ones cost next to nothing."""
_KEPT_CONNECTIONS = 800
"""Idle connections kept open: below the usual limit of 1024 files of a process."""
_LARGEST_HEADERS = 32 << 10
_LARGEST_BODY = 2 << 20
_IDLE = 30
"""Seconds until an idle or silent connection is closed."""
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


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """TLS with this certificate (chain) and key, both PEM."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except OSError as error:
        raise OperatorError(
            f"cannot use the certificate {certificate} with the key {key}: {error}"
        ) from error
    return context


def _no_password() -> str:
    # Else OpenSSL asks on the terminal, where a service has nobody to answer.
    raise OperatorError("the TLS key is encrypted: give one without a password")


class Tls:
    """Cheroot's TLS adapter, without its fault: the handshake is left to a worker thread.

    Cheroot's own shakes hands where it accepts, so that one silent client stops everybody.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def bind(self, sock: Any) -> Any:
        """The listening socket as it is."""
        return sock

    def wrap(self, sock: Any) -> tuple[Any, dict[str, str]]:
        """An accepted socket under TLS; its first read shakes hands."""
        wrapped = self._context.wrap_socket(
            sock, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True
        )
        return wrapped, {"wsgi.url_scheme": "https", "HTTPS": "on"}

    def makefile(self, sock: Any, mode: str = "r", bufsize: int = -1) -> Any:
        """A file on the socket, as cheroot wants it."""
        kind: Any = StreamReader if "r" in mode else StreamWriter
        return kind(sock, mode, bufsize)


def tcp_listener(app: Any, where: Address, tls: ssl.SSLContext | None) -> Any:
    """A server for the application, not yet listening."""
    server = _server(app, (where.host, where.port), _THREADS)
    server.max_request_body_size = _LARGEST_BODY
    if tls is not None:
        server.ssl_adapter = Tls(tls)
    return server


def unix_listener(app: Any, path: str) -> Any:
    """A server on a Unix socket that its owner alone may use, not yet listening."""
    return _server(app, path, 4)


def _server(app: Any, where: Any, threads: int) -> Any:
    make: Any = Server  # cheroot's stubs leave the arguments untyped
    server = make(where, app, numthreads=threads, server_name="flipside-server", timeout=_IDLE)
    server.max_request_header_size = _LARGEST_HEADERS
    server.keep_alive_conn_limit = _KEPT_CONNECTIONS
    server.request_queue_size = 128
    server.error_log = _error_log
    return server


def _error_log(msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
    # A client that broke off, or spoke no TLS, is no fault of ours and leaves no trace.
    broken = isinstance(sys.exception(), OSError)
    _log.log(logging.INFO if broken else level, "%s", msg, exc_info=traceback and not broken)


@contextmanager
def listening(server: Any) -> Iterator[None]:
    """Listen and answer; at the end, let requests under way finish."""
    # With this in the environment cheroot would take over file 3, control socket or not.
    os.environ.pop("LISTEN_PID", None)
    before = os.umask(0o177)
    try:
        server.prepare()
    except OSError as error:
        raise OperatorError(f"cannot listen on {server.bind_addr}: {error}") from error
    finally:
        os.umask(before)
    thread = threading.Thread(target=server.serve, name="listener", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.stop()
        thread.join()
