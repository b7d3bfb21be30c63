"""One HTTP connection of a model device: httptools reads the answers, asyncio brings the bytes.

Not a whole client such as aiohttp or httpx: a load program has to cost less than the server that it
measures (docs/fleet.md has the figures). Of a client's work only this is needed: send bytes, read
one answer, keep the connection or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import httptools

from flipside_agent.errors import AgentError, NetworkError, ServerError

LONGEST_ANSWER = 1 << 20
"""Bytes of a body that is kept; what is downloaded is only counted."""

BUFFER = 256 << 10
"""Bytes taken from a socket at a time."""

_SMALLEST_PIECE = 1 << 10
_BEATS = 8
"""Pieces a second that a slow link delivers."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    """Empty for a download."""
    received: int
    """Bytes of the body."""


class Answer:
    """What httptools finds in the bytes of one answer; its ``on_`` methods are called by it."""

    def __init__(self, hear: Callable[[int], None] | None, *, bodiless: bool = False) -> None:
        self.received = 0
        self.complete = False
        self.keeps = False
        """The server leaves the connection open."""
        self._hear = hear
        """Is told of what comes, which then is not kept; None to keep it."""
        self._bodiless = bodiless
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the connection."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, AgentError):
                raise error.__context__ from None
            raise ServerError(
                f"the server sent no proper HTTP answer: {type(error).__name__}"
            ) from error

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """RFC 9110, 9.3.2: the answer to HEAD ends here, whatever length it names."""
        self.complete = self._bodiless

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self.received += len(data)
        if self._hear is not None:
            if self._parser.get_status_code() < 300:
                self._hear(self.received)
            return
        self._body += data
        if self.received > LONGEST_ANSWER:
            raise ServerError(f"the server sent more than {LONGEST_ANSWER} bytes of an answer")

    def on_message_complete(self) -> None:
        """All of it is there."""
        self.complete = True
        self.keeps = self._parser.should_keep_alive()

    def reply(self) -> Reply:
        """The answer, once it is complete."""
        return Reply(
            self._parser.get_status_code(), self._headers, bytes(self._body), self.received
        )


class Connection(asyncio.BufferedProtocol):
    """A connection and at most one exchange on it.

    A class of asyncio's is its base because asyncio knows buffered protocols by that alone, and
    streams cost three times the processor time for each megabyte.
    """

    def __init__(self, buffer: bytearray, patience: float) -> None:
        self.open = False
        self._buffer = memoryview(buffer)
        """Shared: between being lent and being read nothing else runs."""
        self._patience = patience
        """Seconds without a byte after which an answer is given up."""
        self._loop = asyncio.get_running_loop()
        self._watch: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport
        self._answer: Answer | None = None
        self._end: asyncio.Future[None]
        self._link = 0.0
        self._started = 0.0
        self._piece = len(buffer)

    def begin(self, request: bytes, answer: Answer, link: float) -> asyncio.Future[None]:
        """Send a request; the future is done when the answer is complete.

        ``link`` is the pace in bytes per second; 0 for as fast as they come.
        """
        self._answer, self._link, self._started = answer, link, self._loop.time()
        self._piece = len(self._buffer)
        if link:
            self._piece = min(self._piece, max(_SMALLEST_PIECE, int(link / _BEATS)))
        self._end = self._loop.create_future()
        self._watch = self._loop.call_later(self._patience, self._look, 0)
        self._transport.write(request)
        return self._end

    def close(self) -> None:
        """Let go of it, whatever is under way."""
        self.open, self._answer = False, None
        self._stop_watching()
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio has connected."""
        # Not to be seen by its class: uvloop's transports are none of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self.open = True

    def get_buffer(self, sizehint: int) -> memoryview:
        """Asyncio asks where to put bytes."""
        return self._buffer[: self._piece]

    def buffer_updated(self, nbytes: int) -> None:
        """Asyncio has put bytes there."""
        answer = self._answer
        if answer is None:
            return
        try:
            answer.feed(self._buffer[:nbytes])
        except AgentError as error:
            self._finish(error)
            return
        if answer.complete:
            self._finish(None)
        elif self._link:
            self._hold_back(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.open = False
        if self._answer is not None:
            self._finish(_ended(self._answer, exc))

    def _finish(self, error: Exception | None) -> None:
        self._answer = None
        self._stop_watching()
        if self._end.done():
            return
        if error is None:
            self._end.set_result(None)
        else:
            self._end.set_exception(error)

    def _look(self, before: int) -> None:
        """Give up if nothing has come since."""
        if self._answer is None:
            return
        now = self._answer.received
        if now == before:
            self._finish(TimeoutError())
        else:
            self._watch = self._loop.call_later(self._patience, self._look, now)

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _hold_back(self, answer: Answer) -> None:
        """Read on only when a link of this pace would have brought so much."""
        early = self._started + answer.received / self._link - self._loop.time()
        if early > 0:
            self._transport.pause_reading()
            self._loop.call_later(early, self._read_on)

    def _read_on(self) -> None:
        if self.open:
            self._transport.resume_reading()


def _ended(answer: Answer, cause: Exception | None) -> Exception:
    if answer.received:
        return NetworkError("the server broke off in the middle of an answer")
    return cause or ConnectionResetError("the connection ended")
