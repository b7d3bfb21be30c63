"""The monitor's protocol, over a socket at whose other end the test is QEMU."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from flipside_qemu.errors import DeadlineError, EmulatorError
from flipside_qemu.qmp import Event, Qmp

RESET: dict[str, object] = {"event": "RESET", "data": {"guest": True, "reason": "guest-reset"}}


class Monitor:
    """QEMU's end: says what it is told to say, and hears what was asked."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.lines = end.makefile("r")

    def say(self, message: dict[str, object]) -> None:
        self.end.sendall(json.dumps(message).encode() + b"\r\n")

    def answer(self, answer: dict[str, object], *before: dict[str, object]) -> dict[str, object]:
        """Take one command, say something else first, and answer it."""
        heard: dict[str, object] = json.loads(self.lines.readline())
        for message in before:
            self.say(message)
        self.say({"id": heard["id"], **answer})
        return heard

    @contextmanager
    def acting(self, act: Callable[[], object]) -> Iterator[None]:
        """Act in a thread meanwhile; its failure is the test's."""
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(act)
            yield
            future.result(timeout=10)


@pytest.fixture
def ends() -> Iterator[tuple[Qmp, Monitor]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Qmp(ours), Monitor(theirs)


def test_greeting_negotiates(ends: tuple[Qmp, Monitor]) -> None:
    qmp, monitor = ends
    monitor.say({"QMP": {"version": {}, "capabilities": []}})
    with monitor.acting(lambda: monitor.answer({"return": {}})["execute"]):
        qmp.greet()


def test_an_answer_is_told_from_the_events_before_it(ends: tuple[Qmp, Monitor]) -> None:
    qmp, monitor = ends
    with monitor.acting(lambda: monitor.answer({"return": {"status": "running"}}, RESET)):
        assert qmp.execute("query-status") == {"status": "running"}
    assert qmp.events() == [Event("RESET", {"guest": True, "reason": "guest-reset"})]
    assert qmp.events() == []


def test_underscores_of_arguments_become_dashes(ends: tuple[Qmp, Monitor]) -> None:
    qmp, monitor = ends
    heard: dict[str, object] = {}
    with monitor.acting(lambda: heard.update(monitor.answer({"return": {}}))):
        qmp.execute("job-dismiss", job_id="x")
    assert heard["arguments"] == {"job-id": "x"}


def test_a_refusal_is_told_in_qemus_words(ends: tuple[Qmp, Monitor]) -> None:
    qmp, monitor = ends
    refusal: dict[str, object] = {"error": {"class": "GenericError", "desc": "no such NIC"}}
    with (
        monitor.acting(lambda: monitor.answer(refusal)),
        pytest.raises(EmulatorError, match=r"^QEMU refused set_link: no such NIC$"),
    ):
        qmp.execute("set_link", name="x", up=False)


def test_an_event_is_waited_for_by_name_and_data(ends: tuple[Qmp, Monitor]) -> None:
    qmp, monitor = ends
    monitor.say({"event": "RTC_CHANGE", "data": {"offset": 1}})
    monitor.say({"event": "RESET", "data": {"guest": False}})
    monitor.say(RESET)
    assert qmp.wait_for("RESET", guest=True).data["reason"] == "guest-reset"


def test_an_event_that_does_not_come_is_a_missed_deadline(ends: tuple[Qmp, Monitor]) -> None:
    qmp, _ = ends
    with pytest.raises(DeadlineError, match="QEMU's event WATCHDOG within 0 s"):
        qmp.wait_for("WATCHDOG", within=0.05)


def test_messages_may_come_in_pieces(ends: tuple[Qmp, Monitor]) -> None:
    qmp, monitor = ends
    data = json.dumps(RESET).encode() + b"\r\n"

    def dribble() -> None:
        for byte in data:
            monitor.end.sendall(bytes([byte]))

    with monitor.acting(dribble):
        assert qmp.wait_for("RESET").name == "RESET"


def test_a_job_is_waited_for_and_dismissed(ends: tuple[Qmp, Monitor]) -> None:
    qmp, monitor = ends
    heard: list[object] = []

    def run() -> None:
        heard.append(monitor.answer({"return": {}})["execute"])
        for status in ("created", "running", "concluded"):
            monitor.say({"event": "JOB_STATUS_CHANGE", "data": {"id": "j", "status": status}})
        heard.append(monitor.answer({"return": [{"id": "other"}, {"id": "j"}]})["execute"])
        heard.append(monitor.answer({"return": {}})["execute"])

    with monitor.acting(run):
        qmp.run_job("snapshot-save", "j", tag="ready")
    assert heard == ["snapshot-save", "query-jobs", "job-dismiss"]


def test_a_job_that_failed_raises_its_error(ends: tuple[Qmp, Monitor]) -> None:
    qmp, monitor = ends

    def run() -> None:
        monitor.answer({"return": {}})
        monitor.say({"event": "JOB_STATUS_CHANGE", "data": {"id": "j", "status": "concluded"}})
        monitor.answer({"return": [{"id": "j", "error": "disk is full"}]})
        monitor.answer({"return": {}})

    with (
        monitor.acting(run),
        pytest.raises(EmulatorError, match="snapshot-save failed: disk is full"),
    ):
        qmp.run_job("snapshot-save", "j", tag="ready")


def test_a_qemu_that_is_gone_is_told(ends: tuple[Qmp, Monitor]) -> None:
    qmp, monitor = ends
    monitor.lines.close()
    monitor.end.close()
    with pytest.raises(EmulatorError, match="QEMU is gone"):
        qmp.execute("query-status")
    with pytest.raises(EmulatorError, match="QEMU is gone"):
        qmp.events()
