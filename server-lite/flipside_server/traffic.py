"""What all connections of a listener share: the applications, the threads, the limits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from flipside_server.limits import Limits
from flipside_server.response import App, Environ

Observe = Callable[[str, str, str, float], None]
"""Told of every answer: method, path, status, and how many seconds it took."""
_log = logging.getLogger(__name__)


class Patient(Protocol):
    """A connection, as the one who looks after all of them sees it."""

    @property
    def deadline(self) -> float:
        """When the client has to have done what is waited for, by the loop's clock."""

    def overdue(self) -> None:
        """The deadline is over."""

    def wind_up(self) -> None:
        """End after what is under way."""

    def abort(self) -> None:
        """End at once."""


def unobserved(_method: str, _path: str, _status: str, _seconds: float) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Office:
    """Who answers requests, and on what terms."""

    app: App
    """Answers in a thread, and may wait."""
    quick: App | None = None
    """Asked first, in the listener's own thread; raises ``NotHere`` if it would have to wait."""
    limits: Limits = field(default_factory=Limits)
    observe: Observe = unobserved
    streamed: bool = False
    """Bodies of any size are handed to the application as they come."""
    threads: int = 16
    environ: Environ = field(default_factory=dict)
    """What every request's environment begins with."""


class Traffic:
    """The connections of one listener. Used in the listener's thread only."""

    def __init__(self, office: Office, pool: ThreadPoolExecutor, most: int) -> None:
        self.office = office
        self.bodies = 0
        """Bytes of large bodies that are being gathered."""
        self.stopping = False
        self.loop = asyncio.get_running_loop()
        self.pool = pool
        self._most = most
        self._all: dict[Patient, None] = {}
        self._idle: dict[Patient, None] = {}
        """Those that wait for a request, longest first."""
        self._gone = asyncio.Event()

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._all)

    def enter(self, connection: Patient) -> bool:
        """Take in a connection, if need be for the one that has been idle the longest."""
        if len(self._all) >= self._most:
            oldest = next(iter(self._idle), None)
            if oldest is None:
                return False
            oldest.abort()
            self.leave(oldest)
        self._all[connection] = None
        self.idle(connection)
        return True

    def leave(self, connection: Patient) -> None:
        """A connection is closed."""
        self._all.pop(connection, None)
        self._idle.pop(connection, None)
        if not self._all:
            self._gone.set()

    def idle(self, connection: Patient) -> None:
        """It has nothing under way."""
        self._idle[connection] = None

    def busy(self, connection: Patient) -> None:
        """It has a request under way."""
        self._idle.pop(connection, None)

    def submit(self, job: Callable[..., None], *arguments: Any) -> None:
        """Have a thread do it; a bug there is told, and ends nothing else."""
        self.pool.submit(job, *arguments).add_done_callback(_told)

    async def look_after(self) -> None:
        """End connections whose time is over, until cancelled."""
        while True:
            await asyncio.sleep(self.office.limits.look)
            now = self.loop.time()
            for connection in [one for one in self._all if one.deadline < now]:
                connection.overdue()

    async def end(self) -> None:
        """Let what is under way end, in bounded time; idle connections end at once."""
        self.stopping = True
        for connection in list(self._all):
            connection.wind_up()
        if self._all:
            self._gone.clear()
            try:
                await asyncio.wait_for(self._gone.wait(), self.office.limits.grace)
            except TimeoutError:
                _log.warning("%d requests did not end in time", len(self._all))
        for connection in list(self._all):
            connection.abort()


def _told(future: Future[None]) -> None:
    error = future.exception()
    if error is not None:
        _log.critical("this is a bug, please report it", exc_info=error)
