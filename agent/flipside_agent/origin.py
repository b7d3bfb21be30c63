"""The local origin: the HTTP server on loopback from which RAUC reads every bundle.

Blocking sockets and a thread for each of RAUC's few connections: measured, a range of 128 KiB
costs 0.08 ms of CPU this way, 0.10 ms as an asyncio protocol and 0.2 ms with ``http.server``,
and RAUC asks for some 1,800 of them; besides, a read may have to wait for the network.
"""

from __future__ import annotations

import hmac
import os
import socket
import threading
import time
from contextlib import suppress

from flipside_agent.errors import AgentError, NetworkError, Unavailable
from flipside_agent.ranges import Range, content_range_header, requested
from flipside_agent.request import LONGEST_HEAD, Request, request_of
from flipside_agent.tail import Source

PATH = "/bundle.raucb"

MOST_CONNECTIONS = 32
"""RAUC's helper keeps one for each request in flight; they are few."""

PIECE = 1 << 20
"""Bytes of an answer that are in memory at a time."""

_MANNERS = 10.0
"""Seconds that a stranger has to say what he wants."""

_LAST_CHANCE = 1.0
"""Seconds that a request is held once one was held in vain."""

_ORDERLY = (
    b"HTTP/1.1 %s\r\nContent-Type: application/octet-stream\r\nAccept-Ranges: bytes\r\n"
    b"Content-Length: %d\r\n%s\r\n"
)


class Origin:
    """Serves one bundle, in ranges, to whoever knows the bearer."""

    def __init__(self, source: Source, hold: float) -> None:
        self.failure: AgentError | None = None
        """Why a request could not be answered, the latest such; None while all goes well."""
        self.served = 0
        """Bytes of the bundle that were sent."""
        self._source = source
        self._hold = hold
        """Seconds; RAUC's own patience ends at 300, the time-out of its block device."""
        self._proof = f"Bearer {os.urandom(24).hex()}"
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._in_vain = 0
        """Reads in a row that came to nothing."""

    @property
    def location(self) -> str:
        """The bundle's URL."""
        assert self._listener is not None, "started before"
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}{PATH}"

    @property
    def headers(self) -> dict[str, str]:
        """What a request must carry."""
        return {"Authorization": self._proof}

    def start(self) -> None:
        """Begin to serve, on a port that nobody can know before."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=MOST_CONNECTIONS)
        accept = threading.Thread(
            target=self._accept, args=(self._listener,), name="origin", daemon=True
        )
        accept.start()

    def stop(self) -> None:
        """End serving, and every connection with it."""
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):  # RAUC may have gone already
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # stopped
            with self._lock:
                crowded = len(self._connections) >= MOST_CONNECTIONS
                if not crowded:
                    self._connections.add(connection)
            if crowded:
                connection.close()
                continue
            threading.Thread(
                target=self._serve, args=(connection,), name="origin", daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with suppress(OSError):  # the client left, or said nothing
                self._converse(connection)
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()

    def _converse(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(_MANNERS)
        received, known = b"", False
        while True:
            head, received = _next_head(connection, received)
            if head is None:
                return
            request = request_of(head)
            if request is None:
                _send_head(connection, b"400 Bad Request")
                return
            if not self._is_known(request):
                _send_head(connection, b"401 Unauthorized", extra=b"WWW-Authenticate: Bearer\r\n")
                return
            if not known:
                connection.settimeout(None)
                known = True
            if not self._answer(connection, request) or request.last:
                return

    def _is_known(self, request: Request) -> bool:
        offered = request.headers.get("authorization", "")
        return hmac.compare_digest(offered.encode("latin-1"), self._proof.encode())

    def _answer(self, connection: socket.socket, request: Request) -> bool:
        """Answer a known client and tell whether the connection can serve another request."""
        if request.target != PATH:
            _send_head(connection, b"404 Not Found")
        elif request.method == "HEAD":
            _send_head(connection, b"200 OK", self._source.size)
        elif request.method != "GET":
            _send_head(connection, b"405 Method Not Allowed", extra=b"Allow: GET, HEAD\r\n")
        else:
            return self._send_range(connection, request.headers.get("range", ""))
        return True

    def _send_range(self, connection: socket.socket, header: str) -> bool:
        size = self._source.size
        wanted = requested(header, size)
        if wanted is None:
            extra = b"Content-Range: bytes */%d\r\n" % size
            _send_head(connection, b"416 Range Not Satisfiable", extra=extra)
            return True
        try:
            first = self._read(Range(wanted.start, min(wanted.stop, wanted.start + PIECE)))
        except AgentError as error:
            _send_head(connection, _status_of(error, hopeless=self._in_vain > 1))
            return True
        extra = b"Content-Range: %s\r\n" % content_range_header(wanted, size).encode()
        _send(connection, _head(b"206 Partial Content", wanted.length, extra), first)
        try:
            for at in range(wanted.start + PIECE, wanted.stop, PIECE):
                _send(connection, self._read(Range(at, min(wanted.stop, at + PIECE))))
        except AgentError:
            return False  # promised, and not to be had: cut off, the client asks again
        return True

    def _read(self, wanted: Range) -> bytes:
        patience = _LAST_CHANCE if self._in_vain else self._hold
        try:
            piece = self._source.read(wanted.start, wanted.length, time.monotonic() + patience)
        except AgentError as error:
            self.failure = error
            self._in_vain += 1
            raise
        self._in_vain = 0
        with self._lock:
            self.served += len(piece)
        return piece


def _status_of(error: AgentError, *, hopeless: bool) -> bytes:
    """Return the status that makes RAUC do the right thing: it gives up at once on a 404 only.

    Anything else it repeats five times, for every block that the kernel wants to read ahead:
    without a network that took it ten minutes to end.
    """
    if isinstance(error, NetworkError | Unavailable) and not hopeless:
        return b"503 Service Unavailable"
    return b"404 Not Found"


def _next_head(connection: socket.socket, received: bytes) -> tuple[bytes | None, bytes]:
    """Return the next request's head, None at the end of all, and what came behind it."""
    while b"\r\n\r\n" not in received:
        if len(received) > LONGEST_HEAD:
            return b"", b""
        more = connection.recv(LONGEST_HEAD)
        if not more:
            return None, b""
        received += more
    head, _, behind = received.partition(b"\r\n\r\n")
    return head, behind


def _head(status: bytes, length: int, extra: bytes) -> bytes:
    return _ORDERLY % (status, length, extra)


def _send_head(
    connection: socket.socket, status: bytes, length: int = 0, extra: bytes = b""
) -> None:
    connection.sendall(_head(status, length, extra))


def _send(connection: socket.socket, *parts: bytes) -> None:
    """Send everything, as a rule in a single call."""
    sent = connection.sendmsg(parts)
    for part in parts:
        if sent < len(part):
            connection.sendall(memoryview(part)[sent:])
        sent = max(0, sent - len(part))
