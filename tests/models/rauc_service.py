"""A RAUC service that behaves as the real one was seen to, its lies included.

Observed on RAUC 1.8 to 1.15.2 and read in src/service.c and src/install.c: what is refused while
busy, which property changes in which order, how errors are named, and what is never said.
Nothing is written anywhere; the slots are values.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dbus_next.aio.message_bus import MessageBus
from dbus_next.constants import MessageType
from dbus_next.message import Message
from dbus_next.signature import Variant

from flipside_agent.bus import connect, release

NAME = "de.pengutronix.rauc"
INTERFACE = "de.pengutronix.rauc.Installer"
GLIB_ERROR = "org.gtk.GDBus.UnmappedGError.Quark._g_2dio_2derror_2dquark.Code30"

NOT_STARTED = (
    "org.freedesktop.DBus.Error.TimedOut",
    f"Failed to activate service '{NAME}': timed out (service_start_timeout=25000ms)",
)

ACCESS_KEYS = frozenset({"tls-cert", "tls-key", "tls-ca", "tls-no-verify", "http-headers"})
SINCE = {
    "ignore-compatible": (1, 5),
    **dict.fromkeys(ACCESS_KEYS, (1, 8)),
    "transaction-id": (1, 11),
    "ignore-version-limit": (1, 12),
    "require-manifest-hash": (1, 14),
}
"""Release that first took the key in InstallBundle."""

METHODS = {
    "InstallBundle": (1, 5),
    "Mark": (1, 5),
    "GetSlotStatus": (1, 5),
    "GetPrimary": (1, 5),
    "InspectBundle": (1, 11),
}


class Refusal(Exception):
    """An error that goes back to the caller."""


@dataclass(frozen=True)
class ModelBundle:
    """A bundle as far as RAUC's answers depend on it."""

    manifest_hash: str = "aa" * 32
    version: str = "2"
    compatible: str = "flipside-qemu"
    inspect_error: str = ""
    """What checking its signature ends with."""
    install_error: str = ""
    """What writing it ends with."""


@dataclass
class ModelSlot:
    """A slot, in the words of GetSlotStatus."""

    bootname: str
    state: str
    boot_status: str
    keys: dict[str, Variant] = field(default_factory=dict)


def two_slots() -> dict[str, ModelSlot]:
    """A device that runs from A; B is empty.  The real order is a hash table's: B is first."""
    return {
        "rootfs.1": ModelSlot("B", "inactive", "bad"),
        "rootfs.0": ModelSlot("A", "booted", "good"),
    }


class RaucService:
    """The service, with a power switch."""

    def __init__(self, address: str, release: tuple[int, int] = (1, 13)) -> None:
        self._address = address
        self._release = release
        self._link: MessageBus | None = None
        self._work: asyncio.Task[None] | None = None
        self._busy = False
        self._properties: dict[str, Variant] = {}
        self.slots = two_slots()
        self.bundles: dict[str, ModelBundle] = {}
        self.calls: list[str] = []
        """Members that were called, in order."""
        self.install_keys: list[frozenset[str]] = []
        """Keys of each InstallBundle that was accepted."""
        self.headers: list[str] = []
        """``http-headers`` of the last call that had them."""
        self.loses_completions = False
        self.still_stopping = 0
        """Calls that the bus answers for it, because its old process has not ended yet."""
        self.leftovers = 0
        """Installations that fail over what a process that died has left in the kernel."""
        self.go_on = asyncio.Event()
        """Clear it and an installation stops in the middle until it is set."""
        self.copying = asyncio.Event()
        """Set while an installation is in the middle."""
        self.go_on.set()
        self._called = asyncio.Event()

    async def until_called(self, member: str, times: int) -> None:
        """Wait until a method was called so many times in all."""
        while self.calls.count(member) < times:
            self._called.clear()
            await self._called.wait()

    async def power_on(self) -> None:
        """Start the service; it owns its name when this returns."""
        self._busy = False
        self._properties = {
            "Operation": Variant("s", "idle"),
            "LastError": Variant("s", ""),
            "Progress": Variant("(isi)", [0, "", 0]),
            "Compatible": Variant("s", "flipside-qemu"),
            "BootSlot": Variant("s", self._booted().bootname),
        }
        self._link = await connect(self._address)
        self._link.add_message_handler(self._take)
        await self._link.request_name(NAME)

    def power_off(self) -> None:
        """Die as by kill -9: no Completed, no goodbye; a slot that was being written stays so."""
        assert self._link is not None
        if self._work is not None:
            self._work.cancel()
        release(self._link)

    def complete(self, result: int) -> None:
        """Say that an installation, somebody's, completed."""
        if not self.loses_completions:
            self._emit(INTERFACE, "Completed", "i", [result])

    def replace_work(self, source: str) -> None:
        """Go on with another bundle, as if somebody's installation had followed unnoticed."""
        assert self._work is not None
        self._work.cancel()
        self._work = asyncio.create_task(self._install(self.bundles[source], {}))

    async def forge_completion(self, victim: str) -> None:
        """As a program that is not RAUC, tell one connection that an installation succeeded."""
        link = await connect(self._address)
        lie = Message.new_signal("/", INTERFACE, "Completed", "i", [0])
        lie.destination = victim
        await link.send(lie)
        await link.introspect("org.freedesktop.DBus", "/org/freedesktop/DBus")  # it has arrived
        release(link)

    def _take(self, message: Message) -> Message | bool | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        if message.interface == "org.freedesktop.DBus.Introspectable":
            return Message.new_method_return(message, "s", [self._introspection()])
        if message.member == "GetAll":
            return Message.new_method_return(message, "a{sv}", [self._properties])
        if message.interface == "org.freedesktop.DBus.Properties":
            value = self._properties[message.body[1]]
            return Message.new_method_return(message, "v", [value])
        self.calls.append(message.member)
        self._called.set()
        if self.still_stopping:
            self.still_stopping -= 1
            return Message.new_error(message, *NOT_STARTED)
        try:
            return Message.new_method_return(message, *self._handler(message)(*message.body))
        except Refusal as refusal:
            return Message.new_error(message, GLIB_ERROR, str(refusal))

    def _handler(self, message: Message) -> Callable[..., tuple[str, list[Any]]]:
        handlers: dict[str, Callable[..., tuple[str, list[Any]]]] = {
            "InstallBundle": self._install_bundle,
            "InspectBundle": self._inspect_bundle,
            "GetSlotStatus": self._get_slot_status,
            "GetPrimary": self._get_primary,
            "Mark": self._mark,
        }
        if METHODS[message.member] > self._release:
            raise Refusal(f"No such method “{message.member}”")
        return handlers[message.member]

    def _introspection(self) -> str:
        methods = "".join(
            f'<method name="{name}"/>' for name, since in METHODS.items() if since <= self._release
        )
        return f'<node><interface name="{INTERFACE}">{methods}</interface></node>'

    def _refuse_if_busy(self) -> None:
        if self._busy:
            raise Refusal("already processing a different method")

    def _refuse_unknown(self, keys: dict[str, Variant], since: dict[str, tuple[int, int]]) -> None:
        for key in keys:
            if since.get(key, (99, 0)) > self._release:
                raise Refusal(f"Unsupported key: {key}")
        if "http-headers" in keys:
            self.headers = keys["http-headers"].value

    def _install_bundle(self, source: str, keys: dict[str, Variant]) -> tuple[str, list[Any]]:
        try:
            if self._busy:
                raise Refusal("Already processing a different method")
            self._refuse_unknown(keys, SINCE)
        except Refusal:
            # service.c: any refusal says idle, although another installation may be going on.
            self._change(Operation=Variant("s", "idle"))
            raise
        self.install_keys.append(frozenset(keys))
        self._busy = True
        self._change(Operation=Variant("s", "installing"))
        self._work = asyncio.create_task(self._install(self.bundles[source], keys))
        return "", []

    async def _install(self, bundle: ModelBundle, keys: dict[str, Variant]) -> None:
        self._change(LastError=Variant("s", ""))
        self._progress(0, "Installing", 1)
        self._progress(20, "Checking bundle", 2)
        error = bundle.inspect_error or _unexpected(bundle, keys)
        if self.leftovers:
            self.leftovers -= 1
            error = "Failed mounting bundle: Failed to create dm device: Device or resource busy"
        if not error:
            error = await self._copy(bundle, keys)
        if error:
            # RAUC ends at 100 % either way, and may say so together with the error.
            self._change(
                Progress=Variant("(isi)", [100, "Installing failed.", 1]),
                LastError=Variant("s", error),
            )
        else:
            self._progress(100, "Installing done.", 1)
        self.complete(1 if error else 0)
        self._change(Operation=Variant("s", "idle"))
        self._busy = False

    async def _copy(self, bundle: ModelBundle, keys: dict[str, Variant]) -> str:
        name, target = self._other()
        target.boot_status = "bad"
        target.keys["status"] = Variant("s", "pending")
        self._progress(46, f"Copying image to {name}", 3)
        self.copying.set()
        await self.go_on.wait()
        self.copying.clear()
        target.keys = {
            "status": Variant("s", "failed" if bundle.install_error else "ok"),
            "bundle.hash": Variant("s", bundle.manifest_hash),
            "bundle.version": Variant("s", bundle.version),
            "installed.count": Variant("u", 1),
            "size": Variant("t", 1 << 33),
        }
        if "transaction-id" in keys:
            target.keys["installed.transaction"] = keys["transaction-id"]
        return bundle.install_error

    def _inspect_bundle(self, source: str, keys: dict[str, Variant]) -> tuple[str, list[Any]]:
        self._refuse_if_busy()
        self._refuse_unknown(keys, dict.fromkeys(ACCESS_KEYS, (1, 8)))
        bundle = self.bundles[source]
        if bundle.inspect_error:
            raise Refusal(bundle.inspect_error)
        update = {
            "compatible": Variant("s", bundle.compatible),
            "version": Variant("s", bundle.version),
        }
        info = {
            "manifest-hash": Variant("s", bundle.manifest_hash),
            "update": Variant("a{sv}", update),
            "bundle": Variant("a{sv}", {"format": Variant("s", "verity")}),
        }
        return "a{sv}", [info]

    def _get_slot_status(self) -> tuple[str, list[Any]]:
        self._refuse_if_busy()
        return "a(sa{sv})", [[[name, _described(slot)] for name, slot in self.slots.items()]]

    def _get_primary(self) -> tuple[str, list[Any]]:
        self._refuse_if_busy()
        if self._booted().boot_status != "good":
            raise Refusal("Failed getting primary slot: Unable to obtain primary element\n")
        return "s", [next(name for name, slot in self.slots.items() if slot.state == "booted")]

    def _mark(self, state: str, identifier: str) -> tuple[str, list[Any]]:
        self._refuse_if_busy()
        booted = next(name for name, slot in self.slots.items() if slot.state == "booted")
        name = {"booted": booted, "other": self._other()[0]}.get(identifier, identifier)
        if name not in self.slots:
            raise Refusal(f"No slot with class {name.split('.')[0]} and name {name} found")
        self.slots[name].boot_status = "bad" if state == "bad" else "good"
        return "ss", [name, f"marked slot(s) {name} as {state}"]

    def _booted(self) -> ModelSlot:
        return next(slot for slot in self.slots.values() if slot.state == "booted")

    def _other(self) -> tuple[str, ModelSlot]:
        return next(item for item in self.slots.items() if item[1].state != "booted")

    def _progress(self, percent: int, text: str, depth: int) -> None:
        self._change(Progress=Variant("(isi)", [percent, text, depth]))

    def _change(self, **changed: Variant) -> None:
        self._properties |= changed
        properties = "org.freedesktop.DBus.Properties"
        self._emit(properties, "PropertiesChanged", "sa{sv}as", [INTERFACE, changed, []])

    def _emit(self, interface: str, member: str, signature: str, body: list[Any]) -> None:
        assert self._link is not None
        self._link.send(Message.new_signal("/", interface, member, signature, body))


def _unexpected(bundle: ModelBundle, keys: dict[str, Variant]) -> str:
    wanted = keys["require-manifest-hash"].value if "require-manifest-hash" in keys else None
    if wanted in (None, bundle.manifest_hash):
        return ""
    return (
        "Refusing to install bundle with unexpected hash "
        f"(expected {wanted}, got {bundle.manifest_hash})"
    )


def _described(slot: ModelSlot) -> dict[str, Variant]:
    return {
        "class": Variant("s", "rootfs"),
        "type": Variant("s", "ext4"),
        "bootname": Variant("s", slot.bootname),
        "state": Variant("s", slot.state),
        "boot-status": Variant("s", slot.boot_status),
        **slot.keys,
    }
