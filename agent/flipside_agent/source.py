"""A bundle fetched from the server while it is being read, through any bad network."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from flipside_agent import readahead
from flipside_agent.address import Address, address_of
from flipside_agent.backoff import at_least, delays
from flipside_agent.ddi import shown
from flipside_agent.errors import AgentError, DeviceError, NetworkError, Unavailable, UpdateError
from flipside_agent.ranges import Range, Ranges, missing, total
from flipside_agent.readahead import Begin, Follow, Jump, Move, Plan
from flipside_agent.remote import Download, Remote
from flipside_agent.spool import SpoolFolder
from flipside_agent.tail import LONGEST_TAIL, digest_of, tail_of
from flipside_agent.transport import Transport
from flipside_agent.update import Bundle
from flipside_agent.window import Window

BATCH = 512 << 10
BATCH_TIME = 0.5
"""Bytes of the stream that are kept at a time, and seconds that are spent to gather them: each
batch costs locks and switches of threads, and a slow link must show what it brought."""

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 15.0
"""Seconds between two tries while the network is away."""

LONGEST_ASKED = 60.0
"""Seconds that a server's ``Retry-After`` can hold up an installation under way."""

log = logging.getLogger(__name__)


class Store(Protocol):
    """Keeps what was fetched until it is read."""

    @property
    def ahead(self) -> int: ...
    @property
    def held(self) -> Ranges: ...
    def write(self, offset: int, pieces: Sequence[bytes]) -> None: ...
    def read(self, wanted: Range) -> bytes: ...
    def settle(self) -> None: ...
    def close(self) -> None: ...


class RemoteSource:
    """One bundle at the server; a thread fetches, other threads read and wait."""

    def __init__(
        self,
        address: Address,
        size: int,
        transport: Transport,
        folder: SpoolFolder,
        random: Callable[[], float],
    ) -> None:
        self.size = size
        self.fetched = 0
        """Bytes that came over the network."""
        self.resumed = 0
        """Bytes that were spooled at an earlier time."""
        self.trouble: AgentError | None = None
        """What keeps it from fetching at this moment."""
        self._remote = Remote(address, size)
        self._along = transport.link(address.site)
        self._aside = transport.link(address.site)
        self._folder = folder
        self._random = random
        self._changed = threading.Condition()
        self._settling = threading.Lock()
        """Held while the store is flushed or closed, which never happens at once."""
        self._closing = threading.Event()
        self._over = False
        self._demands: list[Range] = []
        self._store: Store = Window()
        self._plan = Plan(size, self._store.ahead)
        self._download: Download | None = None

    def open(self) -> bytes:
        """Make ready to be read, and return the signature tail that the server has now."""
        ending = Range(max(0, self.size - LONGEST_TAIL), self.size)
        raw = self._remote.fetch(self._aside, ending)
        tail = tail_of(raw, self.size)
        with self._changed:
            if self._closing.is_set():
                raise NetworkError("the bundle was closed while it was being opened")
            self._store = self._pick_store(digest_of(tail))
            self._plan = Plan(self.size, self._store.ahead)
            self.resumed = total(self._store.held)
            self._store.write(ending.start, [raw])
            self.fetched = len(raw)
        threading.Thread(target=self._run, name="fetch", daemon=True).start()
        return tail

    def read(self, offset: int, length: int, deadline: float) -> bytes:
        """Return exactly these bytes, waiting for them until ``deadline`` (monotonic clock)."""
        wanted = Range(offset, offset + length)
        with self._changed:
            self._plan = readahead.reading(self._plan, wanted)
            if missing(self._store.held, wanted):
                self._await(wanted, deadline)
            elif readahead.next_move(self._plan, self._store.held, ()):
                self._changed.notify_all()
            if self._over:
                raise self.trouble or NetworkError("the bundle is closed")
            return self._store.read(wanted)

    def _await(self, wanted: Range, deadline: float) -> None:
        self._demands.append(wanted)
        self._changed.notify_all()
        came = self._changed.wait_for(
            lambda: self._over or not missing(self._store.held, wanted),
            timeout=deadline - time.monotonic(),
        )
        self._demands.remove(wanted)
        if not came:
            raise self.trouble or NetworkError(f"no answer from {self._along.site} in time")

    def close(self) -> None:
        """End fetching and reading; what is spooled stays spooled. May be called again."""
        self._closing.set()
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._along.abort()
        self._aside.abort()
        # Without waiting for the thread: it may be stuck with a name server. What it still brings
        # goes into a store that nobody reads.
        self._end()

    def _pick_store(self, key: str) -> Store:
        try:
            spool = self._folder.open(key, self.size)
        except DeviceError as error:
            log.warning("streaming without a spool: %s", error)
            return Window()
        if spool is None:
            log.warning("streaming without a spool: no room for %d bytes", self.size)
            return Window()
        return spool

    def _run(self) -> None:
        pauses = self._pauses()
        while (move := self._next()) is not None:
            try:
                self._carry_out(move)
            except (NetworkError, Unavailable) as error:
                self._interrupted(error)
                asked = error.retry_after if isinstance(error, Unavailable) else 0.0
                self._closing.wait(at_least(next(pauses), asked, LONGEST_ASKED))
            except AgentError as error:
                self._interrupted(error)
                break
            else:
                if self.trouble is not None:
                    log.info("fetching goes on")
                    self.trouble, pauses = None, self._pauses()
        self._end()

    def _pauses(self) -> Iterator[float]:
        return delays(FIRST_PAUSE, LONGEST_PAUSE, self._random)

    def _next(self) -> Move | None:
        with self._changed:
            while not self._over:
                move = readahead.next_move(self._plan, self._store.held, tuple(self._demands))
                if move is not None:
                    return move
                self._plan = readahead.rested(self._plan)
                self._changed.wait()
            return None

    def _carry_out(self, move: Move) -> None:
        match move:
            case Begin(wanted):
                self._along.close()
                self._download = self._remote.open(self._along, wanted)
                with self._changed:
                    self._plan = readahead.begun(self._plan, wanted)
            case Follow():
                self._follow()
            case Jump(wanted):
                self._keep(wanted.start, [self._remote.fetch(self._aside, wanted)])
                with self._changed:
                    self._plan = readahead.jumped(self._plan, wanted)

    def _follow(self) -> None:
        stream = self._plan.stream
        assert self._download is not None, "begun before it is followed"
        assert stream is not None, "begun before it is followed"
        pieces = self._download.batch(BATCH, soon=time.monotonic() + BATCH_TIME)
        self._keep(stream.at, pieces)
        with self._changed:
            self._plan = readahead.advanced(self._plan, sum(map(len, pieces)))

    def _keep(self, offset: int, pieces: Sequence[bytes]) -> None:
        self.fetched += sum(map(len, pieces))
        try:
            with self._changed:
                self._store.write(offset, pieces)
                self._changed.notify_all()
            # Without that lock, which readers wait for: flushing a slow card takes seconds.
            with self._settling:
                self._store.settle()
        except DeviceError as error:  # the disk is full, or broken
            log.warning("going on without a spool: %s", error)
            self._replace_store()
            with self._changed:
                self._store.write(offset, pieces)
                self._plan = replace(self._plan, ahead=self._store.ahead)
                self._changed.notify_all()

    def _interrupted(self, error: AgentError) -> None:
        if self._closing.is_set():
            return  # By our own hanging up, which is nobody's trouble.
        if str(error) != str(self.trouble):
            log.warning("fetching is interrupted: %s", error)
        self.trouble = error
        self._along.close()
        self._aside.close()
        with self._changed:
            self._plan = readahead.broken(self._plan)

    def _end(self) -> None:
        with self._changed:
            self._over = True
        self._replace_store()

    def _replace_store(self) -> None:
        with self._settling, self._changed:
            store, self._store = self._store, Window()
            try:
                store.close()
            except DeviceError as error:
                log.warning("what was fetched last is not kept: %s", error)
            self._changed.notify_all()


def remote_source(
    bundle: Bundle, transport: Transport, folder: SpoolFolder, random: Callable[[], float]
) -> RemoteSource:
    """Return the source of an offered bundle, not yet opened."""
    address = address_of(bundle.url)
    if address is None:
        raise UpdateError(f"the bundle's address is {shown(bundle.url)}, expected a plain URL")
    return RemoteSource(address, bundle.size, transport, folder, random)
