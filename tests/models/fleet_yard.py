"""A server-lite process of its own for fleets, and the operator who fills and reads it."""

from __future__ import annotations

import itertools
import queue
import re
import subprocess
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flipside_agent.address import Address, address_of
from flipside_qemu.fleet_credentials import names
from flipside_server.orders import AddArtifact, AddTarget, Assign, Cancel, Show, Subject
from flipside_server.premises import reached
from models.server_process import command, environment

BUNDLE = bytes(range(256)) * 1200


@dataclass
class Yard:
    """A running server with a data directory."""

    data: Path
    address: Address
    _versions: Iterator[int] = field(default_factory=lambda: itertools.count(2))
    _fleets: Iterator[int] = field(default_factory=itertools.count)

    def fill(self, count: int, prefix: str = "") -> dict[str, str]:
        """Let devices in that nobody knew before; their names and Authorization headers."""
        fresh = names(prefix or f"fleet{next(self._fleets)}-", count)
        with reached(self.data, create=False) as control:
            return {
                name: f"TargetToken {control.carry_out(AddTarget(name))['token']}" for name in fresh
            }

    def release(self, content: bytes = BUNDLE) -> str:
        """Put a bundle of a new version on the shelf."""
        version = next(self._versions)
        file = self.data.parent / f"{version}.raucb"
        file.write_bytes(content)
        order = AddArtifact("fw.raucb", "os", str(version), len(content))
        with reached(self.data, create=False) as control, file.open("rb") as upload:
            label: str = control.carry_out(order, upload)["label"]
            return label

    def assign(self, devices: Iterable[str], label: str) -> list[int]:
        """Have devices install it; the actions."""
        with reached(self.data, create=False) as control:
            return [control.carry_out(Assign(name, label))["action"] for name in devices]

    def stocked(self, count: int) -> dict[str, str]:
        """So many new devices, each with an update of its own."""
        proofs = self.fill(count)
        self.assign(proofs, self.release())
        return proofs

    def cancel(self, action: int) -> None:
        """Ask a device to drop it."""
        with reached(self.data, create=False) as control:
            control.carry_out(Cancel(action))

    def show(self, subject: Subject, devices: Iterable[str]) -> list[dict[str, Any]]:
        """What the server knows of these devices."""
        wanted = set(devices)
        with reached(self.data, create=False) as control:
            found = control.carry_out(Show((subject,)))[subject]
        return [one for one in found if one["target"] in wanted]

    def states(self, devices: Iterable[str]) -> Counter[str]:
        """How many of their actions are in which state."""
        return Counter(one["state"] for one in self.show(Subject.ACTIONS, devices))


@contextmanager
def open_yard(folder: Path, *options: str) -> Iterator[Yard]:
    """Serve a new data directory; what the server says is read, or its pipe would fill up."""
    scheme = "https" if "--tls-cert" in options else "http"
    data = folder / "data"
    listen = ("--listen", "127.0.0.1:0", "--poll", "00:00:01")
    arguments = command("serve", "--data", data, *listen, *options)
    with subprocess.Popen(
        arguments, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        ports: queue.Queue[str] = queue.Queue()
        threading.Thread(target=_listen, args=(process.stderr, ports), daemon=True).start()
        try:
            yield Yard(data, plain(f"{scheme}://127.0.0.1:{ports.get(timeout=60)}"))
        finally:
            process.terminate()
            process.wait()


def _listen(lines: Iterable[str], ports: queue.Queue[str]) -> None:
    for line in lines:
        if found := re.search(r"serving devices on .*:(\d+), data in", line):
            ports.put(found[1])


def plain(url: str) -> Address:
    """The address in a URL."""
    address = address_of(url)
    assert address is not None
    return address
