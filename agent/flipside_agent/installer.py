"""RAUC behind the agent's own origin: what the machine installs through."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from flipside_agent.errors import AgentError, DeviceError, UpdateError
from flipside_agent.origin import Origin
from flipside_agent.rauc_dialect import (
    BundleUnreachable,
    BundleUnreadable,
    RaucInfo,
    Slot,
    booted,
    check_room,
    find,
    slot_status,
)
from flipside_agent.tail import Pinned, Source, check_signing_time, digest_of
from flipside_agent.update import Bundle, Inspection, SlotStatus
from flipside_agent.worker import in_thread

Report = Callable[[int, str], None]
"""Takes RAUC's progress: per cent, and what it is doing."""

log = logging.getLogger(__name__)


class Rauc(Protocol):
    """What is asked of RAUC."""

    async def inspect(self, location: str, headers: Mapping[str, str]) -> RaucInfo: ...
    async def install(
        self, location: str, headers: Mapping[str, str], manifest_hash: str, on_progress: Report
    ) -> None: ...
    async def slots(self) -> tuple[Slot, ...]: ...
    async def mark(self, state: str, identifier: str) -> None: ...


class BundleSource(Source, Protocol):
    """A bundle that has to be opened before it is read; blocking."""

    fetched: int
    """Bytes that came over the network."""
    resumed: int
    """Bytes that were spooled at an earlier time."""

    def open(self) -> bytes: ...
    def close(self) -> None: ...


class Spools(Protocol):
    """Where bundles are spooled."""

    def drop(self) -> None: ...


class BundleInstaller:
    """Has RAUC read bundles from a local origin, and speaks for it to the machine."""

    def __init__(
        self,
        rauc: Rauc,
        source_of: Callable[[Bundle], BundleSource],
        spools: Spools,
        hold: float,
        on_progress: Report,
    ) -> None:
        self._rauc = rauc
        self._source_of = source_of
        self._spools = spools
        self._hold = hold
        self._on_progress = on_progress

    async def inspect(self, bundle: Bundle) -> Inspection:
        """Have RAUC read and verify the bundle; what it was shown is pinned for the install."""
        async with self._served(bundle) as (origin, source, tail):
            check_signing_time(tail)
            try:
                info = await self._rauc.inspect(origin.location, origin.headers)
            except AgentError as error:
                raise _root_cause(error, origin) from error
            check_room(info, await self._rauc.slots())
            return Inspection(
                manifest_hash=info.manifest_hash,
                version=info.version,
                compatible=info.compatible,
                size=source.size,
                tail_sha256=digest_of(tail),
            )

    async def install(self, bundle: Bundle, inspection: Inspection, target: str) -> None:
        """Have RAUC write exactly the inspected bundle to the target slot."""
        if booted(await self._rauc.slots()).bootname == target:
            raise DeviceError(f"slot {target} is running, so nothing can be installed to it")
        if await self._installs(bundle, inspection):
            return
        # What was spooled in an earlier life may have been damaged there: once more without it.
        log.warning("the payload is damaged; what was spooled of it is fetched again")
        self.forget()
        await self._installs(bundle, inspection)

    async def _installs(self, bundle: Bundle, inspection: Inspection) -> bool:
        """Install; False if the payload is damaged, and part of it came from an old spool."""
        async with self._served(bundle) as (origin, source, tail):
            if digest_of(tail) != inspection.tail_sha256 or source.size != inspection.size:
                raise UpdateError("the server has another bundle now than the one inspected")
            try:
                await self._rauc.install(
                    origin.location, origin.headers, inspection.manifest_hash, self._on_progress
                )
            except AgentError as error:
                damaged = isinstance(error, BundleUnreadable) and origin.failure is None
                if damaged and source.resumed:
                    return False
                raise _root_cause(error, origin) from error
        self.forget()
        return True

    async def slot_status(self, slot: str) -> SlotStatus:
        """Return what RAUC knows about the slot with this bootname."""
        return slot_status(find(await self._rauc.slots(), slot))

    async def activate(self, slot: str) -> None:
        """Make the slot with this bootname the next one to boot."""
        await self._rauc.mark("active", await self._identifier(slot))

    async def mark_good(self) -> None:
        """Confirm the running slot."""
        await self._rauc.mark("good", "booted")

    async def mark_bad(self, slot: str) -> None:
        """Make sure that the slot with this bootname is not booted again."""
        await self._rauc.mark("bad", await self._identifier(slot))

    def forget(self) -> None:
        """Throw away what was spooled; for when no update is under way."""
        try:
            self._spools.drop()
        except DeviceError as error:
            log.warning("%s", error)

    async def _identifier(self, bootname: str) -> str:
        slots = await self._rauc.slots()
        # RAUC integration.rst: only the word "booted" counts for prevent-late-fallback.
        return "booted" if booted(slots).bootname == bootname else find(slots, bootname).name

    @asynccontextmanager
    async def _served(self, bundle: Bundle) -> AsyncIterator[tuple[Origin, BundleSource, bytes]]:
        source = self._source_of(bundle)
        refused = False
        try:
            tail = await in_thread(source.open)
            origin = Origin(Pinned(source, tail), self._hold)
            origin.start()
            try:
                yield origin, source, tail
            finally:
                origin.stop()
                log.info(
                    "bundle bytes: %d fetched, %d spooled before, %d served to RAUC",
                    source.fetched,
                    source.resumed,
                    origin.served,
                )
        except UpdateError:
            refused = True
            raise
        finally:
            await _close(source)
            if refused:
                self.forget()


async def _close(source: BundleSource) -> None:
    try:
        await in_thread(source.close)
    except asyncio.CancelledError:
        # An agent that is told to stop, and told again, still maps what it spooled.
        source.close()
        raise


def _root_cause(error: AgentError, origin: Origin) -> AgentError:
    """Return what is really to blame for RAUC's failure: only the origin knows what lies behind."""
    if isinstance(error, UpdateError):
        return error
    if origin.failure is not None:
        return origin.failure
    if isinstance(error, BundleUnreadable):
        return UpdateError(f"the payload is not what was signed: {error}")
    if isinstance(error, BundleUnreachable):
        return DeviceError(
            f"RAUC cannot read from this agent on 127.0.0.1, is a proxy in its way? {error}"
        )
    return error
