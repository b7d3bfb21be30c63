"""A device that is updated by the real rauc-hawkbit-updater, with a model of RAUC below it."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from flipside_qemu.toolbox import Toolbox
from models import debian_clients
from models.debian_clients import PATIENCE, Client
from models.message_bus import PrivateBus
from models.rauc_service import ModelBundle, RaucService

PROGRAM = "rauc-hawkbit-updater"


@dataclass(frozen=True)
class Once:
    """One poll and all that followed from it (``--run-once``)."""

    code: int
    said: str


class Rauc:
    """The model of RAUC in a thread of its own, because the client is waited for in ours."""

    def __init__(self, address: str) -> None:
        self.service = RaucService(address)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def power_on(self) -> None:
        """Start it; it owns its name when this returns."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.service.power_on(), self._loop).result(PATIENCE)

    def power_off(self) -> None:
        """End it."""
        self.tell(self.service.power_off)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def hold(self) -> None:
        """Have the next installation stop in the middle."""
        self.tell(self.service.go_on.clear)

    def go_on(self) -> None:
        """Let it go on."""
        self.tell(self.service.go_on.set)

    def until_copying(self) -> None:
        """Wait until an installation is in the middle."""
        copying = asyncio.run_coroutine_threadsafe(self.service.copying.wait(), self._loop)
        copying.result(PATIENCE)

    def tell(self, what: Callable[[], None]) -> None:
        """Have something done in its thread, and wait until it is."""

        async def told() -> None:
            what()

        asyncio.run_coroutine_threadsafe(told(), self._loop).result(PATIENCE)


@dataclass
class Updater:
    """The device: its configuration, its message bus and its RAUC."""

    tools: Toolbox
    place: Path
    rauc: Rauc
    address: str
    options: dict[str, str]
    """The ``[client]`` section of its configuration."""
    identity: dict[str, str] = field(default_factory=lambda: {"version": "1"})
    """The ``[device]`` section: what the image that runs says of itself."""

    @property
    def bundle(self) -> Path:
        """Where it downloads to."""
        return self.place / "bundle.raucb"

    def once(self) -> Once:
        """Poll once, and do what there is to do."""
        done = subprocess.run(
            self._command("--run-once"),
            env={"DBUS_SYSTEM_BUS_ADDRESS": self.address},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=PATIENCE,
        )
        return Once(done.returncode, done.stdout)

    @contextmanager
    def running(self) -> Iterator[Client]:
        """Run it as the daemon that it is on devices."""
        environment = {"DBUS_SYSTEM_BUS_ADDRESS": self.address}
        client = debian_clients.start(self._command(), self.place / "updater.log", environment)
        try:
            yield client
        finally:
            client.stop()

    def installs(self, bundle: ModelBundle, source: str = "") -> None:
        """What RAUC will find where it is sent to."""
        self.rauc.service.bundles[source or str(self.bundle)] = bundle

    def _command(self, *options: str) -> list[str]:
        config = self.place / "updater.conf"
        sections = {"client": self.options, "device": self.identity}
        config.write_text("".join(_section(name, pairs) for name, pairs in sections.items()))
        return self.tools.argv(PROGRAM, "-c", config, *options)


@contextmanager
def device(tools: Toolbox, place: Path, server: str, token: str) -> Iterator[Updater]:
    """A device that knows its server (``host:port``) and its token."""
    with PrivateBus(place) as bus:
        rauc = Rauc(bus.address)
        rauc.power_on()
        options = {
            "hawkbit_server": server,
            "ssl": "false",
            "target_name": "pi-1",
            "auth_token": token,
            "bundle_download_location": str(place / "bundle.raucb"),
            "retry_wait": "1",
            "log_level": "debug",
        }
        updater = Updater(tools, place, rauc, bus.address, options)
        updater.installs(ModelBundle())
        try:
            yield updater
        finally:
            rauc.power_off()


def _section(name: str, pairs: dict[str, str]) -> str:
    return "".join([f"[{name}]\n", *(f"{key} = {value}\n" for key, value in pairs.items())])
