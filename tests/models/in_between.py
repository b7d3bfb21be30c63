"""Something between a virtual device and its server: a web server with moods, or TLS."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from flipside_qemu.device import Device
from flipside_qemu.update_server import GUEST_VIEW
from models.flight import Flight
from models.web import Web

SETTINGS = "/data/flipside/device.toml"
AUTHORITY = "/data/flipside/authority.pem"


@contextmanager
def in_between(flight: Flight, tls: ssl.SSLContext | None = None) -> Iterator[Web]:
    """A web server that stands in front of the flight's own; nobody is sent to it yet."""
    web = Web(tls)
    web.behind = urlsplit(flight.server.host_url).port
    web.switch_on()
    try:
        yield web
    finally:
        web.switch_off()


def url_of(web: Web) -> str:
    """Where a virtual device finds a server of its host."""
    return f"{web.scheme}://{GUEST_VIEW}:{web.port}"


def send_to(device: Device, url: str, authority: Path | None = None) -> None:
    """Give the device another server from now on, as an operator does."""
    lines = [f'url = "{url}"']
    if authority is not None:
        device.shell.put(AUTHORITY, authority.read_bytes())
        lines.append(f'ca = "{AUTHORITY}"')
    device.shell.check(f"sed -i '/^url = /d; /^ca = /d' {SETTINGS}")
    for line in reversed(lines):
        device.shell.check(rf"sed -i '/^\[server\]/a {line}' {SETTINGS}")
    device.shell.check("systemctl restart flipside-agent", within=120)


def set_clock(device: Device) -> None:
    """Tell the device what time it is."""
    device.shell.check(f"date -s @{time.time():.0f}")
