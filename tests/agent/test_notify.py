"""What systemd hears of the agent, through a real socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from flipside_agent.notify import MAX_STATUS, Notify, notify_from, watchdog_interval


@pytest.fixture(name="systemd")
def _systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(10)
        yield listener


def test_every_word_is_one_datagram(systemd: socket.socket) -> None:
    notify = notify_from({"NOTIFY_SOCKET": systemd.getsockname()})
    notify.ready()
    notify.watchdog()
    notify.status("installing\nREADY=1")
    notify.stopping()
    heard = [systemd.recv(4096) for _ in range(4)]
    assert heard == [b"READY=1", b"WATCHDOG=1", b"STATUS=installing READY=1", b"STOPPING=1"]


def test_a_long_status_is_cut(systemd: socket.socket) -> None:
    Notify(systemd.getsockname()).status("x" * 10_000)
    assert len(systemd.recv(20_000)) == len("STATUS=") + MAX_STATUS


def test_an_abstract_socket_is_found() -> None:
    name = f"flipside-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        listener.settimeout(10)
        Notify(f"@{name}").ready()
        assert listener.recv(100) == b"READY=1"


def test_nobody_listening_is_no_error(tmp_path: Path) -> None:
    notify_from({}).ready()
    Notify(str(tmp_path / "none")).ready()


@pytest.mark.parametrize(
    ("environment", "interval"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_asks(
    environment: dict[str, str], interval: float | None
) -> None:
    assert watchdog_interval(environment, pid=7) == interval
