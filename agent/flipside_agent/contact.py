"""Contact with the server: one question after the other, at its pace; slower while it is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import Final

from flipside_agent.backoff import at_least, delays
from flipside_agent.errors import AgentError, Unavailable
from flipside_agent.ports import Poll, Server

FIRST: Final = 5.0
LONGEST: Final = 120.0
"""Seconds between attempts to reach a server that does not answer: at first, and at last."""

Errand = Callable[[], Awaitable[None]]

log = logging.getLogger(__name__)


class Line:
    """The line to one server. It also is the machine's :class:`~flipside_agent.ports.Contact`."""

    def __init__(self, server: Server, random: Callable[[], float]) -> None:
        self._server = server
        self._random = random
        self._due = 0.0
        self._hurry = asyncio.Event()
        self._heard = asyncio.Event()

    async def next(self, errands: Iterable[Errand] = ()) -> Poll:
        """Run errands, wait until it is time, and ask until there is an answer.

        Whoever calls has dealt with the answer before: only now is it known to the machine that
        the server is back, so that a cancellation in that answer comes first.
        """
        self._heard.set()
        for errand in errands:
            await self._run(errand)
        await self._pause(self._due)
        for delay in delays(FIRST, LONGEST, self._random):
            try:
                poll = await self._server.poll()
            except AgentError as error:
                log.warning("the server cannot be asked: %s", error)
                asked = error.retry_after if isinstance(error, Unavailable) else 0.0
                await self._pause(at_least(delay, asked, LONGEST))
            else:
                self._due = poll.sleep
                return poll
        raise AssertionError("delays never end")

    async def regained(self, spent: int) -> None:
        """Wait a while, the longer the more patience was spent, and then for the server."""
        await asyncio.sleep(next(islice(delays(FIRST, LONGEST, self._random), spent, None)))
        self._heard.clear()
        self._hurry.set()
        await self._heard.wait()

    async def _run(self, errand: Errand) -> None:
        try:
            await errand()
        except AgentError as error:
            # The server will ask for it again.
            log.warning("the server was not told: %s", error)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        self._hurry.clear()
