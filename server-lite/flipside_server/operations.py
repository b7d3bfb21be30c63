"""Pages for whoever runs the server: ``/healthz``, ``/readyz`` and ``/metrics``.

They stand before the devices' application. Who may see the figures is told by address alone, and
never through a proxy: behind one everybody seems to be near.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, NoReturn, Protocol

from flipside_server.action import Action
from flipside_server.errors import OperatorError
from flipside_server.front_desk import NotHere
from flipside_server.health import Disk, troubles
from flipside_server.metrics import Snapshot, Tally, exposition
from flipside_server.response import App, Environ
from flipside_server.store import R
from flipside_server.target import Target

Network = IPv4Network | IPv6Network
Answer = tuple[str, str, bytes]
"""Status, type and body."""
_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP")


class Keeps(Protocol):
    """The store, as far as these pages look at it."""

    @property
    def sound(self) -> bool: ...

    def all(self, kind: type[R]) -> Iterator[R]: ...


@dataclass(frozen=True, slots=True)
class Operations:
    """What the pages are made from."""

    store: Keeps
    data: Path
    tally: Tally
    connections: Callable[[], int]
    near: tuple[Network, ...]
    """Who besides this machine may see the figures."""

    def healthz(self, _: Environ) -> Answer:
        """It answers, so it lives."""
        return _json("200 OK", {"status": "alive"})

    def readyz(self, _: Environ) -> Answer:
        """Whether it can take a device's word."""
        found = self._troubles()
        if found:
            return _json("503 Service Unavailable", {"status": "not ready", "because": found})
        return _json("200 OK", {"status": "ready"})

    def metrics(self, environ: Environ) -> Answer:
        """Figures for Prometheus."""
        if not _is_near(self.near, environ):
            return _json("404 Not Found", {"message": "404 Not Found"})
        kind = "text/plain; version=0.0.4; charset=utf-8"
        return "200 OK", kind, exposition(self.tally, self._snapshot())

    def _troubles(self) -> tuple[str, ...]:
        return troubles(disk_of(self.data), sound=self.store.sound)

    def _snapshot(self) -> Snapshot:
        gauges = {
            "targets": sum(1 for _ in self.store.all(Target)),
            "connections": self.connections(),
            "disk_free_bytes": disk_of(self.data).free,
            "ready": 0 if self._troubles() else 1,
        }
        return Snapshot(gauges, Counter(str(one.state) for one in self.store.all(Action)))


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """The networks, such as 10.0.0.0/8, or OperatorError."""
    try:
        return tuple(ip_network(text) for text in texts)
    except ValueError as error:
        raise OperatorError(
            f"{error}: give an address such as 10.0.0.7 or a network such as 10.0.0.0/8"
        ) from error


def disk_of(path: Path) -> Disk:
    """The file system that the path lies on."""
    found = os.statvfs(path)
    files = found.f_favail if found.f_files else None
    return Disk(found.f_bavail * found.f_frsize, files, bool(found.f_flag & os.ST_RDONLY))


def with_operations(app: App, operations: Operations) -> App:
    """The application, with the pages before it."""
    return _before(
        app,
        {
            "/healthz": operations.healthz,
            "/readyz": operations.readyz,
            "/metrics": operations.metrics,
        },
    )


def with_pulse(app: App, operations: Operations) -> App:
    """The same for the front desk, where only the page may be made that waits for nothing."""
    pages = {"/healthz": operations.healthz, "/readyz": _elsewhere, "/metrics": _elsewhere}
    return _before(app, pages)


def _before(app: App, pages: Mapping[str, Callable[[Environ], Answer]]) -> App:
    def answer(environ: Environ, start_response: Any) -> Iterable[bytes]:
        page = pages.get(environ["PATH_INFO"])
        if page is None or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return app(environ, start_response)
        status, kind, body = page(environ)
        headers = [
            ("Content-Type", kind),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        start_response(status, headers)
        return [body]

    return answer


def _elsewhere(_: Environ) -> NoReturn:
    raise NotHere


def _json(status: str, document: object) -> Answer:
    return status, "application/json;charset=UTF-8", json.dumps(document).encode()


def _is_near(near: tuple[Network, ...], environ: Environ) -> bool:
    if any(key in environ for key in _FORWARDED):
        return False
    try:
        peer = ip_address(environ["REMOTE_ADDR"])
    except ValueError:
        return False
    return peer.is_loopback or any(peer in network for network in near)
