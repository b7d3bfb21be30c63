"""What arrives from a peer on the message bus: its signals, in order, or the news of its end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from flipside_agent.errors import DeviceError


class BusLost(DeviceError):
    """There is no connection to the message bus, or it ended."""


class PeerLost(DeviceError):
    """The peer is not on the bus, or left it in the middle."""


class PeerSilent(DeviceError):
    """The peer is on the bus but does not answer."""


@dataclass(frozen=True, slots=True)
class Peer:
    """An object of a service on the bus."""

    name: str
    path: str
    interface: str


@dataclass(frozen=True, slots=True)
class Signal:
    """A broadcast of an object on the bus."""

    interface: str
    member: str
    body: tuple[Any, ...]


DAEMON = Peer("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
OWNER_CHANGED = "NameOwnerChanged"


class Inbox:
    """The signals of one peer, until the peer or the bus is gone."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._owner: str | None = None
        """Unique name of the connection that is the peer; empty while nobody is."""
        self._items: asyncio.Queue[Signal | DeviceError] = asyncio.Queue()

    async def next(self, within: float) -> Signal | None:
        """The next signal, or None when so many seconds pass without one."""
        try:
            async with asyncio.timeout(within):
                item = await self._items.get()
        except TimeoutError:
            return None
        if isinstance(item, DeviceError):
            raise item
        return item

    def owned_by(self, owner: str) -> None:
        """Learn who the peer is, unless a change of owner was seen already."""
        if self._owner is None:
            self._owner = owner

    def close(self, reason: str) -> None:
        """Let the reader know that nothing more will come."""
        self._items.put_nowait(BusLost(reason))

    def take(self, sender: str, path: str, signal: Signal) -> None:
        """Look at a signal and keep it if it concerns the peer."""
        if sender == DAEMON.name:
            self._take_notice(signal)
        # Anybody may send a signal straight to us, past every match rule: only the owner counts.
        elif sender == self._owner and path == self._peer.path:
            self._items.put_nowait(signal)

    def _take_notice(self, signal: Signal) -> None:
        if signal.member != OWNER_CHANGED or signal.body[0] != self._peer.name:
            return
        _, before, self._owner = signal.body
        if before:
            self._items.put_nowait(PeerLost(f"{self._peer.name} left the message bus"))
