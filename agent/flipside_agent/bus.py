"""One connection to a D-Bus message bus: calls, properties and signals of peers, as plain values.

This is the only module that knows dbus-next.  Its last release is of 2021 and its upstream sleeps,
so its traps are met here and nowhere else: it never closes its socket, it spins for ever when the
bus hangs up during authentication, it never answers a call made after a disconnect, and it
forgets futures whose errors asyncio then complains about.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from flipside_agent.errors import DeviceError
from flipside_agent.inbox import (
    DAEMON,
    OWNER_CHANGED,
    BusLost,
    Inbox,
    Peer,
    PeerLost,
    PeerSilent,
    Signal,
)

# dbus-next imports GLib's bindings wherever they are installed, and Debian's package brings them:
# 3 MB in a process that never uses them.  So they are made to look absent before it is imported.
sys.modules.setdefault("gi", None)  # type: ignore[arg-type]  # None is how Python marks absence

from dbus_next import introspection  # noqa: E402  # has to come after the line above
from dbus_next.aio.message_bus import MessageBus  # noqa: E402  # likewise
from dbus_next.constants import BusType, MessageType  # noqa: E402  # likewise
from dbus_next.errors import AuthError, InvalidAddressError  # noqa: E402  # likewise
from dbus_next.message import Message  # noqa: E402  # likewise
from dbus_next.signature import Variant  # noqa: E402  # likewise

CALL_TIMEOUT = 25.0
"""Seconds a peer may take to answer; libdbus has the same default."""

GONE = frozenset(
    {
        "org.freedesktop.DBus.Error.ServiceUnknown",
        "org.freedesktop.DBus.Error.NameHasNoOwner",
        "org.freedesktop.DBus.Error.NoReply",
        "org.freedesktop.DBus.Error.Disconnected",
        "org.freedesktop.DBus.Error.TimedOut",
    }
)
"""Errors by which the bus says that a peer is not there, left before it answered, or did not come
when it was to be started."""


class PeerRefused(DeviceError):
    """The peer answered a call with an error."""

    def __init__(self, member: str, name: str, text: str) -> None:
        super().__init__(f"{member} was refused: {text or name}")
        self.name = name
        """D-Bus error name; for GLib services a mangled quark that says little."""
        self.text = text


@dataclass(frozen=True, slots=True)
class Typed:
    """A value that travels with its D-Bus type, as a{sv} wants it."""

    signature: str
    value: Any


PROPERTIES = "org.freedesktop.DBus.Properties"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"


class Bus:
    """A connection to the message bus, made when it is first needed and again after a loss."""

    def __init__(self, address: str = "") -> None:
        self._address = address
        """D-Bus address; empty for the system bus."""
        self._link: MessageBus | None = None
        self._connecting = asyncio.Lock()
        self._inboxes: set[Inbox] = set()
        self._watch: asyncio.Task[None] | None = None

    async def call(
        self,
        peer: Peer,
        member: str,
        signature: str = "",
        *arguments: Any,
        within: float = CALL_TIMEOUT,
    ) -> list[Any]:
        """Call a method of the peer, which is started if the bus knows how, and wait for it."""
        message = Message(
            destination=peer.name,
            path=peer.path,
            interface=peer.interface,
            member=member,
            signature=signature,
            body=[wire(argument) for argument in arguments],
        )
        link = await self._connect()
        try:
            async with asyncio.timeout(within):
                reply = await link.call(message)
        except TimeoutError as error:
            text = f"{peer.name} did not answer {member} within {within:g} s"
            raise PeerSilent(text) from error
        except (OSError, EOFError) as error:
            raise BusLost(f"the message bus hung up during {member}") from error
        return _answer(peer, member, reply)

    async def get(self, peer: Peer, name: str) -> Any:
        """Read a property of the peer."""
        properties = Peer(peer.name, peer.path, PROPERTIES)
        return (await self.call(properties, "Get", "ss", peer.interface, name))[0]

    async def methods(self, peer: Peer) -> frozenset[str]:
        """Names of the methods that the peer's interface has, by introspection."""
        introspectable = Peer(peer.name, peer.path, INTROSPECTABLE)
        (document,) = await self.call(introspectable, "Introspect")
        node = introspection.Node.parse(document)
        return frozenset(
            method.name
            for interface in node.interfaces
            if interface.name == peer.interface
            for method in interface.methods
        )

    @asynccontextmanager
    async def listen(self, peer: Peer) -> AsyncIterator[Inbox]:
        """Collect the peer's signals, from before the first call that may cause one."""
        inbox = Inbox(peer)
        link = await self._connect()
        rules = _match_rules(peer)
        handler = _sorter(inbox)
        link.add_message_handler(handler)
        self._inboxes.add(inbox)
        try:
            for rule in rules:
                await self.call(DAEMON, "AddMatch", "s", rule)
            inbox.owned_by(await self._owner(peer))
            yield inbox
        finally:
            self._inboxes.discard(inbox)
            link.remove_message_handler(handler)
            if link.connected:
                for rule in rules:
                    link.send(_forget(rule))

    async def close(self) -> None:
        """Leave the bus."""
        if self._link is not None and self._link.connected:
            self._link.disconnect()  # type: ignore[no-untyped-call]  # dbus-next is half typed
        if self._watch is not None:
            await self._watch

    async def _owner(self, peer: Peer) -> str:
        try:
            (owner,) = await self.call(DAEMON, "GetNameOwner", "s", peer.name)
        except PeerLost:
            return ""
        return str(owner)

    async def _connect(self) -> MessageBus:
        async with self._connecting:
            if self._link is not None and self._link.connected:
                return self._link
            if self._watch is not None:
                await self._watch
            self._link = link = await connect(self._address)
            self._watch = asyncio.create_task(self._await_loss(link))
            return link

    async def _await_loss(self, link: MessageBus) -> None:
        end = asyncio.ensure_future(
            link.wait_for_disconnect()  # type: ignore[no-untyped-call]  # dbus-next is half typed
        )
        try:
            await asyncio.wait((end,))
            cause = end.exception() or "we left it"
            for inbox in self._inboxes:
                inbox.close(f"the message bus hung up: {cause}")
        finally:
            release(link)


def plain(value: Any) -> Any:
    """The value without D-Bus variants, however deep they are."""
    if isinstance(value, Variant):
        return plain(value.value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def wire(value: Any) -> Any:
    """The value with D-Bus variants where it says so, however deep they are."""
    if isinstance(value, Typed):
        return Variant(value.signature, wire(value.value))
    if isinstance(value, dict):
        return {key: wire(item) for key, item in value.items()}
    if isinstance(value, list):
        return [wire(item) for item in value]
    return value


async def connect(address: str) -> MessageBus:
    """A fresh connection of dbus-next's, without its traps."""
    try:
        link = MessageBus(address) if address else MessageBus(bus_type=BusType.SYSTEM)
    except (OSError, InvalidAddressError) as error:
        raise BusLost(f"the message bus cannot be reached: {error}") from error
    _disarm(link)
    try:
        async with asyncio.timeout(CALL_TIMEOUT):
            return await link.connect()
    except (OSError, EOFError, AuthError, TimeoutError) as error:
        release(link)
        raise BusLost(f"the message bus did not let us in: {error}") from error


def release(link: MessageBus) -> None:
    """Close the socket, which dbus-next leaves to the garbage collector."""
    loop = asyncio.get_running_loop()
    loop.remove_reader(link._fd)
    loop.remove_writer(link._fd)
    link._stream.close()
    link._sock.close()


def _disarm(link: MessageBus) -> None:
    send = link.send

    def send_and_look(msg: Message) -> asyncio.Future[None]:
        future: asyncio.Future[None] = send(msg)
        future.add_done_callback(_look)
        return future

    link.send = send_and_look  # type: ignore[method-assign]  # calls drop the future of the write
    link._disconnect_future.add_done_callback(_look)
    # dbus-next reads on for ever, without yielding, when the bus hangs up at this point.
    link._auth_readline = lambda: _read_line(link)  # type: ignore[method-assign]  # see above


def _look(future: asyncio.Future[None]) -> None:
    """See the error of a future that nobody waits for; the loss itself is noticed elsewhere."""
    if not future.cancelled():
        future.exception()


async def _read_line(link: MessageBus) -> str:
    line = b""
    while not line.endswith(b"\r\n"):
        byte = await asyncio.get_running_loop().sock_recv(link._sock, 1)
        if not byte:
            raise EOFError("it hung up during authentication")
        line += byte
    return line[:-2].decode("ascii", "replace")


def _answer(peer: Peer, member: str, reply: Message | None) -> list[Any]:
    if reply is None:
        raise BusLost(f"the message bus hung up during {member}")
    if reply.message_type is not MessageType.ERROR:
        return [plain(value) for value in reply.body]
    text = str(reply.body[0]) if reply.body else ""
    if reply.error_name in GONE:
        raise PeerLost(f"{peer.name} is not on the message bus: {text or reply.error_name}")
    raise PeerRefused(member, str(reply.error_name), text)


def _sorter(inbox: Inbox) -> Callable[[Message], None]:
    def sort(message: Message) -> None:
        if message.message_type is MessageType.SIGNAL:
            body = tuple(plain(value) for value in message.body)
            signal = Signal(message.interface, message.member, body)
            inbox.take(message.sender, message.path, signal)

    return sort


def _match_rules(peer: Peer) -> tuple[str, str]:
    return (
        f"type='signal',sender='{peer.name}',path='{peer.path}'",
        f"type='signal',sender='{DAEMON.name}',member='{OWNER_CHANGED}',arg0='{peer.name}'",
    )


def _forget(rule: str) -> Message:
    return Message(
        destination=DAEMON.name,
        path=DAEMON.path,
        interface=DAEMON.interface,
        member="RemoveMatch",
        signature="s",
        body=[rule],
    )
