"""A model device's way to its server: connections made, kept and blamed, answers counted."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from flipside_agent.address import Site
from flipside_agent.errors import AgentError
from flipside_agent.transport import blamed
from flipside_qemu.errors import OperatorError
from flipside_qemu.fleet_connection import BUFFER, Answer, Connection, Reply
from flipside_qemu.fleet_request import Kind
from flipside_qemu.fleet_tally import Tally

_SMALLEST_WINDOW = 16 << 10


@dataclass(frozen=True, slots=True)
class Network:
    """What all model devices share on their way to the server."""

    tally: Tally
    gate: asyncio.Semaphore
    """Bounds the short requests that are under way at once; downloads wait for nobody."""
    tls: ssl.SSLContext | None = None
    """For https; None for the system's authorities."""
    patience: float = 60.0
    """Seconds for a connection to be made, and for an answer to begin or to go on."""
    buffer: bytearray = field(default_factory=lambda: bytearray(BUFFER), repr=False)


def trusting(ca: Path | None) -> ssl.SSLContext:
    """TLS that believes this authority alone, or the system's, as the agent does."""
    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise OperatorError(f"the certificates in {ca} cannot be used: {error}") from error
    # From Python 3.13 on this is set, and refuses what `openssl req -x509` makes.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


class Wire:
    """One device's connections to one site: made when needed, at most one kept while unused."""

    def __init__(self, network: Network, site: Site, *, kept: bool = False) -> None:
        self._network = network
        self._site = site
        self._kept = kept
        self._idle: Connection | None = None

    async def ask(self, kind: Kind, request: bytes) -> Reply:
        """Send a short request and return the whole answer; how long it took is counted."""
        async with self._network.gate:
            return await self._exchange(kind, request, Answer(None), 0.0)

    async def download(
        self, request: bytes, link: float = 0.0, hear: Callable[[int], None] | None = None
    ) -> Reply:
        """Send a request for a file and count what comes, no faster than ``link`` bytes/s.

        ``hear`` is told how many bytes of a good answer have come.
        """
        answer = Answer(hear or _nobody, bodiless=request.startswith(b"HEAD"))
        try:
            return await self._exchange(Kind.DOWNLOAD, request, answer, link)
        finally:
            self._network.tally.fetched += answer.received

    def failed(self, sentence: str) -> None:
        """Count what went wrong on this wire."""
        self._network.tally.failed(sentence)

    def close(self) -> None:
        """Let go of the connection that is kept."""
        if self._idle is not None:
            self._idle.close()
            self._idle = None

    async def _exchange(self, kind: Kind, request: bytes, answer: Answer, link: float) -> Reply:
        started = time.perf_counter()
        try:
            with blamed(self._site):
                await self._send(request, answer, link)
        except AgentError as error:
            self.failed(str(error))
            raise
        self._network.tally.answered(kind, time.perf_counter() - started)
        return answer.reply()

    async def _send(self, request: bytes, answer: Answer, link: float) -> None:
        kept, self._idle = self._idle, None
        if kept is not None and kept.open:
            # A kept connection may have been closed meanwhile, which says nothing yet.
            with suppress(ConnectionError, ssl.SSLEOFError):
                return await self._over(kept, request, answer, link)
        return await self._over(await self._dial(link), request, answer, link)

    async def _over(
        self, connection: Connection, request: bytes, answer: Answer, link: float
    ) -> None:
        try:
            await connection.begin(request, answer, link)
        except BaseException:
            connection.close()
            raise
        if self._kept and answer.keeps and connection.open and self._idle is None:
            self._idle = connection
        else:
            connection.close()

    async def _dial(self, link: float) -> Connection:
        site, network = self._site, self._network
        tls = (network.tls or True) if site.scheme == "https" else None
        async with asyncio.timeout(network.patience):
            transport, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(network.buffer, network.patience), site.host, site.port, ssl=tls
            )
        if link:
            # Else the kernel takes megabytes ahead, and the server never meets a slow client.
            window = max(_SMALLEST_WINDOW, min(int(link), BUFFER))
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF, window
            )
        return connection


def _nobody(_: int) -> None:
    """Hear of progress and say nothing."""
