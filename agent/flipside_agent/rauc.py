"""RAUC on the message bus: inspects, installs and marks, and does not believe all it is told.

RAUC says "idle" while it installs (a second caller is enough), ends a failure with 100 %, tells
everybody that "an" installation completed, and says nothing at all when it dies.  So the end of
an installation is what the slot status says after it, and everything else is a hint.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from flipside_agent.bus import Bus, PeerRefused, Typed
from flipside_agent.capacity import capacity_of
from flipside_agent.inbox import BusLost, Inbox, Peer, PeerLost
from flipside_agent.rauc_dialect import (
    InstallLost,
    RaucBusy,
    RaucFailed,
    RaucInfo,
    Slot,
    failure,
    info_from,
    landed,
    progress_in,
    readable,
    slots_from,
    unsupported_key,
)

RAUC = Peer("de.pengutronix.rauc", "/", "de.pengutronix.rauc.Installer")
NEEDED = frozenset({"InstallBundle", "InspectBundle", "GetSlotStatus", "Mark"})
OPTIONAL = frozenset({"require-manifest-hash", "transaction-id"})
"""Arguments that an older RAUC does without; those that carry the access are never left out."""

INSPECTION = 600.0
"""Seconds an inspection may take: RAUC bears 300 s without an answer (nbd.c), more than once."""
ANSWER = 120.0
"""Seconds for everything else: RAUC runs the boot loader's tools before it answers."""

Report = Callable[[int, str], None]
"""Takes RAUC's progress: per cent, and what it is doing."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to bear with RAUC, in seconds."""

    whole: float = 900.0
    """For a RAUC that is busy, away, or being started again."""
    pause: float = 5.0
    """Between two attempts to reach it."""
    silence: float = 60.0
    """Without a word during an installation, after which it is asked."""


USUAL = Patience()


class Rauc:
    """The RAUC service of this device."""

    def __init__(
        self,
        bus: Bus,
        patience: Patience = USUAL,
        capacity: Callable[[str], int | None] = capacity_of,
    ) -> None:
        self._bus = bus
        self._patience = patience
        self._capacity = capacity
        """Tells the bytes of a block device, if they can be known."""
        self._unknown: set[str] = set()
        """Arguments that this RAUC was found not to know."""
        self._is_complete = False
        """Whether this RAUC was seen to have all the methods."""

    async def inspect(self, location: str, headers: Mapping[str, str]) -> RaucInfo:
        """Have RAUC read the bundle and verify its signature; nothing is written."""
        arguments = {"http-headers": _lines(headers)}

        async def attempt() -> RaucInfo:
            await self._check_methods()
            (answer,) = await self._call(
                "InspectBundle", "sa{sv}", location, arguments, within=INSPECTION
            )
            return info_from(answer)

        return await self._patiently(attempt)

    async def install(
        self, location: str, headers: Mapping[str, str], manifest_hash: str, on_progress: Report
    ) -> None:
        """Have RAUC write the bundle to the other slot; returns when its slot status says so."""
        arguments = {
            "http-headers": _lines(headers),
            "transaction-id": Typed("s", str(uuid.uuid4())),
            "require-manifest-hash": Typed("s", manifest_hash),
        }

        async def attempt() -> None:
            await self._slots()  # refuses while RAUC is busy; a refused install makes it lie
            async with self._bus.listen(RAUC) as inbox:
                taken = await self._start(location, arguments)
                transaction = taken.get("transaction-id", Typed("s", "")).value
                await self._watch(inbox, on_progress)
                while not await self._has_landed(transaction, manifest_hash):
                    await self._watch(inbox, on_progress)

        await self._patiently(attempt)

    async def slots(self) -> tuple[Slot, ...]:
        """The status of every slot."""
        slots = await self._patiently(self._slots)
        return tuple(replace(slot, room=self._capacity(slot.device)) for slot in slots)

    async def mark(self, state: str, identifier: str) -> None:
        """Mark a slot (``booted``, ``other`` or its name) ``good``, ``bad`` or ``active``."""
        await self._patiently(lambda: self._call("Mark", "ss", state, identifier))

    async def compatible(self) -> str:
        """What bundles must be made for to run on this device."""
        return await self._patiently(lambda: self._property("Compatible"))

    async def _start(self, location: str, arguments: dict[str, Typed]) -> dict[str, Typed]:
        """Begin an installation and say with which arguments: those that this RAUC knows."""
        while True:
            known = {key: value for key, value in arguments.items() if key not in self._unknown}
            try:
                await self._bus.call(
                    RAUC, "InstallBundle", "sa{sv}", location, known, within=ANSWER
                )
            except PeerRefused as error:
                key = unsupported_key(error.text)
                if key not in OPTIONAL & known.keys():
                    raise failure(error.text) from error
                self._unknown.add(key)
            else:
                return known

    async def _watch(self, inbox: Inbox, on_progress: Report) -> None:
        """Pass RAUC's progress on until something has completed, or all is silent."""
        try:
            while signal := await inbox.next(self._patience.silence):
                if signal.member == "Completed":
                    return
                progress = progress_in(signal.body)
                if progress is not None:
                    on_progress(*progress)
        except (PeerLost, BusLost) as error:
            raise InstallLost(f"the installation was cut off: {error}") from error

    async def _has_landed(self, transaction: str, manifest_hash: str) -> bool:
        """Tell whether our installation is over and well; raise if it is over and not well.

        RAUC answers nothing but properties while it installs, so an answer means that it is done,
        and a refusal that what completed was somebody else's.
        """
        try:
            slots = await self._slots()
            reason = await self._property("LastError")
        except RaucBusy:
            return False
        except (PeerLost, BusLost) as error:
            raise InstallLost(f"the installation was cut off: {error}") from error
        if reason:
            raise failure(reason)
        if not landed(slots, transaction, manifest_hash):
            raise RaucFailed("RAUC ended an installation, but not the one that was asked for")
        return True

    async def _slots(self) -> tuple[Slot, ...]:
        (status,) = await self._call("GetSlotStatus")
        return slots_from(status)

    async def _property(self, name: str) -> str:
        return readable(await self._bus.get(RAUC, name))

    async def _check_methods(self) -> None:
        if self._is_complete:
            return
        missing = NEEDED - await self._bus.methods(RAUC)
        if missing:
            names = ", ".join(sorted(missing))
            raise RaucFailed(f"this RAUC has no {names}; the agent needs RAUC 1.13 or newer")
        self._is_complete = True

    async def _call(
        self, member: str, signature: str = "", *arguments: Any, within: float = ANSWER
    ) -> list[Any]:
        try:
            return await self._bus.call(RAUC, member, signature, *arguments, within=within)
        except PeerRefused as error:
            raise failure(error.text) from error

    async def _patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try again while RAUC is busy, away or being started; an attempt may be made twice."""
        now = asyncio.get_running_loop().time
        deadline = now() + self._patience.whole
        while True:
            try:
                return await attempt()
            except (RaucBusy, PeerLost, BusLost):
                left = deadline - now()
                if left <= 0:
                    raise
            await asyncio.sleep(min(self._patience.pause, left))


def _lines(headers: Mapping[str, str]) -> Typed:
    return Typed("as", [f"{name}: {value}" for name, value in headers.items()])
