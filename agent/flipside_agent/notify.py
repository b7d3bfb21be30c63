"""Tells systemd how the agent is: ready, alive, what it does, about to stop.

sd_notify(3): one datagram to the socket that ``NOTIFY_SOCKET`` names.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress

MAX_STATUS = 200
"""Characters of a status that ``systemctl status`` shows on one line."""


class Notify:
    """systemd, as the one who watches over this process."""

    def __init__(self, address: str) -> None:
        self._address = address
        """Path of the socket, or ``@`` and an abstract name; empty: nobody is watching."""

    def ready(self) -> None:
        """Starting has ended."""
        self._send("READY=1")

    def watchdog(self) -> None:
        """The main loop is alive."""
        self._send("WATCHDOG=1")

    def status(self, sentence: str) -> None:
        """Say what the agent does."""
        self._send("STATUS=" + " ".join(sentence.split())[:MAX_STATUS])

    def stopping(self) -> None:
        """Stopping has begun."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # A leading zero byte is how the kernel writes an abstract name.
        address = self._address.replace("@", "\0", 1) if self._address[0] == "@" else self._address
        # Whoever does not hear us acts upon that; there is nothing better to do here.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)
            channel.sendto(message.encode(), address)


def notify_from(environment: Mapping[str, str]) -> Notify:
    """The watcher that this process's environment names, if any."""
    return Notify(environment.get("NOTIFY_SOCKET", ""))


def watchdog_interval(environment: Mapping[str, str], pid: int) -> float | None:
    """Seconds after which the watchdog wants to be fed: half its patience; None: there is none."""
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    patience = environment.get("WATCHDOG_USEC", "")
    return int(patience) / 2_000_000 if patience.isdecimal() and int(patience) else None
