"""One client's connection: its requests are answered in their order, its patience is watched."""

from __future__ import annotations

import io
import time
from collections import deque
from typing import Any

from flipside_server.admission import CERTIFICATE
from flipside_server.front_desk import NotHere
from flipside_server.inflow import Inflow
from flipside_server.outflow import Outflow
from flipside_server.patience import Patience, Phase
from flipside_server.request import Mark, Refusal, Request, RequestReader
from flipside_server.response import Environ, Response, answered, bare, head, plain
from flipside_server.tls import client_certificate
from flipside_server.traffic import Traffic

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection:
    """A protocol of asyncio, for one connection of one listener."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._reader = RequestReader(traffic.office.limits, streamed=traffic.office.streamed)
        self._transport: Any = None
        self._peer: Environ = {}
        """What of every request's environment the connection decides."""
        self._waiting: deque[Request | Refusal] = deque()
        self._current: Request | None = None
        self._started = 0.0
        self._patience = Patience(traffic.office.limits, traffic.loop.time)
        self._inflow: Inflow | None = None
        self._outflow: Outflow | None = None
        self._held = 0
        """Bytes of our share of all large bodies."""
        self._stuffed = False
        """The client does not read fast enough what is sent to it."""
        self._paused = False
        """The client is not listened to, as it does not wait for its answers."""
        self._last = False
        """No further request is taken."""

    @property
    def deadline(self) -> float:
        """When the client has to have done what is waited for, by the loop's clock."""
        return self._patience.deadline

    def connection_made(self, transport: Any) -> None:
        """Called by asyncio, after the handshake if there is TLS."""
        self._transport = transport
        self._patience.begin(Phase.HEAD)
        if self._traffic.stopping or not self._traffic.enter(self):
            transport.abort()
            return
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self._peer = {"REMOTE_ADDR": peer[0], "REMOTE_PORT": str(peer[1])}
        channel = transport.get_extra_info("ssl_object")
        certificate = client_certificate(channel) if channel is not None else None
        if certificate is not None:
            self._peer[CERTIFICATE] = certificate

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        if self._patience.phase is Phase.END:
            return
        for event in self._reader.feed(data):
            self._take(event)
        self._account()
        if self._current is None and not self._last:
            self._expect()
        elif self._waiting and not self._paused and self._inflow is None:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Called by asyncio: the client has said all, and may still read."""
        if self._inflow is not None:
            self._inflow.end()
        self._last = True
        return self._current is not None and self._transport.get_extra_info("ssl_object") is None

    def connection_lost(self, _: Exception | None) -> None:
        """Called by asyncio."""
        self._traffic.leave(self)
        self._traffic.bodies -= self._held
        self._held = 0
        self._waiting.clear()
        self._last = True
        if self._inflow is not None:
            self._inflow.end()
        if self._outflow is not None:
            self._outflow.abandon()

    def pause_writing(self) -> None:
        """Called by asyncio."""
        self._stuffed = True
        if self._outflow is not None:
            self._outflow.hold()

    def resume_writing(self) -> None:
        """Called by asyncio."""
        self._stuffed = False
        if self._outflow is not None:
            self._outflow.release()
        elif self._current is None and not self._last:
            self._patience.begin(Phase.IDLE)
            self._turn()

    def overdue(self) -> None:
        """End a client that took too long; one that still reads, however slowly, goes on."""
        if self._patience.moved(self._unread()):
            self._watch()
        elif self._patience.phase is Phase.IDLE:
            self._transport.close()
        else:
            self._transport.abort()

    def wind_up(self) -> None:
        """End after the answer that is under way."""
        self._last = True
        if self._current is None and not self._reader.in_body:
            self._transport.close()

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()

    def _take(self, event: Request | Refusal | Mark | bytes) -> None:
        match event:
            case Request() | Refusal():
                self._waiting.append(event)
                if len(self._waiting) > self._traffic.office.limits.waiting:
                    self._transport.abort()
                elif self._current is None:
                    self._turn()
            case Mark.EXPECTING:
                if self._current is None and not self._waiting:
                    self._transport.write(_CONTINUE)
            case Mark.END:
                if self._inflow is not None:
                    self._inflow.end()
            case bytes():
                if self._inflow is not None:
                    self._inflow.feed(event)

    def _account(self) -> None:
        """Refuse a large body when there are too many of them already."""
        limits, held = self._traffic.office.limits, self._reader.held
        share = held if held > limits.small else 0
        self._traffic.bodies += share - self._held
        self._held = share
        if share and self._traffic.bodies > limits.bodies and not self._last:
            busy = "too much is being sent at the moment: try again later"
            self._refuse(Refusal("503 Service Unavailable", busy))

    def _expect(self) -> None:
        """Set the time in which the client has to go on, once for each part of a request."""
        phase = Phase.IDLE
        if self._reader.in_body:
            phase = Phase.BODY
        elif self._reader.in_head:
            phase = Phase.HEAD
        self._patience.expect(phase)

    def _turn(self) -> None:
        """Answer the next request, unless the client leaves too much unread."""
        while self._waiting and self._current is None and self._patience.phase is not Phase.END:
            if self._stuffed:
                return
            request = self._waiting.popleft()
            if isinstance(request, Refusal):
                self._refuse(request)
            else:
                self._begin(request)
        if self._paused and not self._waiting:
            self._paused = False
            self._transport.resume_reading()

    def _begin(self, request: Request) -> None:
        office = self._traffic.office
        self._current, self._started = request, time.perf_counter()
        self._patience.begin(Phase.ANSWER)
        self._traffic.busy(self)
        if office.streamed:
            self._inflow = Inflow(self._transport.pause_reading, self._listen_again)
        if office.quick is not None and request.environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            try:
                response = answered(office.quick, self._environ(request))
            except NotHere:
                pass
            else:
                self._send(response)
                return
        self._traffic.submit(self._work, self._environ(request))

    def _environ(self, request: Request) -> Environ:
        stream = self._inflow or io.BytesIO(request.body)
        common = self._traffic.office.environ
        return {**common, **self._peer, **request.environ, "wsgi.input": stream}

    def _work(self, environ: Environ) -> None:
        """In a thread: have the application answer."""
        response: Response | None = None
        try:
            response = answered(self._traffic.office.app, environ)
        finally:
            failed = plain("500 Internal Server Error", "the server has a bug: see its log")
            self._traffic.loop.call_soon_threadsafe(self._send, response or failed)

    def _send(self, response: Response) -> None:
        request = self._current
        assert request is not None
        method, version = (request.environ[key] for key in ("REQUEST_METHOD", "SERVER_PROTOCOL"))
        self._observe(response)
        blocks = response.blocks
        if self._transport.is_closing():
            _close(blocks)
            self._finish(keep=False)
            return
        if method == "HEAD" or bare(response):
            _close(blocks)
            response.body, blocks = b"", None
        unknown = blocks is not None and response.length is None
        chunked = unknown and version == "HTTP/1.1"
        keep = request.keep and not self._last and (chunked or not unknown)
        first = head(response, keep=keep, chunked=chunked, now=time.time())
        self._transport.write(first + response.body)
        if blocks is None:
            self._finish(keep=keep)
            return
        request.keep = keep
        self._outflow = Outflow(
            blocks, self._transport, self._traffic.submit, self._sent, chunked=chunked
        )
        self._watch()
        self._outflow.begin()
        if self._stuffed:
            self._outflow.hold()

    def _sent(self, whole: bool) -> None:
        self._outflow = None
        if not whole:
            self._transport.abort()
        self._finish(keep=whole and self._current is not None and self._current.keep)

    def _finish(self, *, keep: bool) -> None:
        unread = self._inflow is not None and self._reader.in_body
        self._current, self._inflow = None, None
        if self._transport.is_closing():
            return
        if unread:
            self._linger()
        elif not keep:
            self._last = True
            self._watch()
            self._transport.close()
        else:
            self._rest()

    def _rest(self) -> None:
        self._traffic.idle(self)
        if self._transport.get_write_buffer_size():
            self._watch()
        else:
            self._patience.begin(Phase.IDLE)
        self._turn()

    def _refuse(self, refusal: Refusal) -> None:
        response = plain(refusal.status, refusal.sentence)
        self._transport.write(head(response, keep=False, chunked=False, now=time.time()))
        self._transport.write(response.body)
        self._linger()

    def _linger(self) -> None:
        # Closed at once, with bytes of the client unread, TCP would take back what we have said.
        self._last = True
        self._patience.begin(Phase.END)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    def _watch(self) -> None:
        """Give the client its time to take some of what there is to be sent."""
        self._patience.watch(self._unread())

    def _unread(self) -> int:
        """Falls as the client reads, and never rises."""
        sent = self._outflow.sent if self._outflow is not None else 0
        size: int = self._transport.get_write_buffer_size()
        return size - sent

    def _listen_again(self) -> None:
        self._traffic.loop.call_soon_threadsafe(self._resume)

    def _resume(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _observe(self, response: Response) -> None:
        environ = self._current.environ if self._current else {}
        took = time.perf_counter() - self._started
        self._traffic.office.observe(
            environ["REQUEST_METHOD"], environ["PATH_INFO"], response.status, took
        )


def _close(blocks: Any) -> None:
    if hasattr(blocks, "close"):
        blocks.close()
