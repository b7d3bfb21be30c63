"""Each command becomes one call, each end of a call one event."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from flipside_agent.commands import (
    Activate,
    AwaitNetwork,
    CheckHealth,
    Command,
    Examine,
    Inspect,
    Install,
    MarkBad,
    MarkGood,
    Reboot,
    Report,
)
from flipside_agent.diagram import BUNDLE, FAILURE, HASH, SEEN, UPDATE
from flipside_agent.errors import (
    AgentError,
    Blame,
    DeviceError,
    NetworkError,
    OperatorError,
    ServerError,
    Unavailable,
    UpdateError,
)
from flipside_agent.events import (
    Activated,
    Event,
    Examined,
    Failed,
    Healthy,
    Inspected,
    Installed,
    MarkedBad,
    MarkedGood,
    NetworkReturned,
    Reported,
    Unhealthy,
)
from flipside_agent.payment import GOING_DOWN, Payment
from flipside_agent.ports import Poll
from flipside_agent.update import Bundle, Diagnosis, Inspection, Outcome, SlotStatus, Update
from models.virtual_time import run_virtually


@dataclass
class World:
    """Every port, obedient, and a list of what was asked of it."""

    calls: list[tuple[object, ...]] = field(default_factory=list)
    error: AgentError | None = None
    forgetful: AgentError | None = None
    diagnosis: Diagnosis = field(default_factory=lambda: Diagnosis(True))

    def _call(self, *what: object) -> None:
        self.calls.append(what)
        if self.error:
            raise self.error

    async def inspect(self, bundle: Bundle) -> Inspection:
        self._call("inspect", bundle)
        return SEEN

    async def install(self, bundle: Bundle, inspection: Inspection, target: str) -> None:
        self._call("install", bundle, inspection, target)

    async def slot_status(self, slot: str) -> SlotStatus:
        self._call("slot_status", slot)
        return SlotStatus(slot, written=True, manifest_hash=HASH, good=False)

    async def activate(self, slot: str) -> None:
        self._call("activate", slot)

    async def mark_good(self) -> None:
        self._call("mark_good")

    async def mark_bad(self, slot: str) -> None:
        self._call("mark_bad", slot)

    async def diagnose(self) -> Diagnosis:
        self._call("diagnose")
        return self.diagnosis

    async def reboot(self, reason: str) -> None:
        self._call("reboot", reason)

    async def regained(self, spent: int) -> None:
        self._call("regained", spent)

    async def note(self, update: Update, outcome: Outcome) -> None:
        if self.forgetful:
            raise self.forgetful
        self.calls.append(("note", update, outcome))

    async def poll(self) -> Poll:
        return Poll(60)

    async def report(self, update: Update, outcome: Outcome) -> None:
        self._call("report", update, outcome)

    async def progress(self, action: str, sentence: str) -> None: ...
    async def answer_cancel(self, action: str, *, accepted: bool, reason: str) -> None: ...
    async def send_attributes(self, attributes: dict[str, str]) -> None: ...


def paid(world: World, command: Command) -> Event:
    return run_virtually(Payment(world, world, world, world, world, world).pay(command))


@pytest.mark.parametrize(
    ("command", "call", "event"),
    [
        (Inspect(BUNDLE), ("inspect", BUNDLE), Inspected(SEEN)),
        (Install(BUNDLE, SEEN, "B"), ("install", BUNDLE, SEEN, "B"), Installed()),
        (AwaitNetwork(3), ("regained", 3), NetworkReturned()),
        (Examine("B"), ("slot_status", "B"), Examined(True, HASH)),
        (Activate("B"), ("activate", "B"), Activated()),
        (CheckHealth(), ("diagnose",), Healthy()),
        (MarkGood(), ("mark_good",), MarkedGood()),
        (MarkBad("B"), ("mark_bad", "B"), MarkedBad()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_debt_is_paid_with_one_call(
    command: Command, call: tuple[object, ...], event: Event
) -> None:
    world = World()
    assert paid(world, command) == event
    assert world.calls == [call]


def test_a_failed_check_has_a_name() -> None:
    world = World(diagnosis=Diagnosis(False, "disk", "it is full"))
    assert paid(world, CheckHealth()) == Unhealthy("disk", "it is full")


@pytest.mark.parametrize(
    ("error", "blame"),
    [
        (UpdateError("why"), Blame.UPDATE),
        (DeviceError("why"), Blame.DEVICE),
        (NetworkError("why"), Blame.NETWORK),
        (ServerError("why"), Blame.SERVER),
        (Unavailable("why", retry_after=7), Blame.SERVER),
        (OperatorError("why"), Blame.OPERATOR),
    ],
)
def test_a_failure_says_who_is_to_blame(error: AgentError, blame: Blame) -> None:
    assert paid(World(error=error), MarkGood()) == Failed("why", blame)


def test_a_bug_of_ours_is_no_event() -> None:
    class Buggy(World):
        async def mark_good(self) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        paid(Buggy(), MarkGood())


def test_a_device_that_does_not_go_down_has_failed() -> None:
    world = World()

    async def patiently() -> tuple[Event, float]:
        event = await Payment(world, world, world, world, world, world).pay(Reboot("to try slot B"))
        return event, asyncio.get_running_loop().time()

    event, seconds = run_virtually(patiently())
    assert event == Failed(
        "the device is still up 300 s after it was asked to reboot", Blame.DEVICE
    )
    assert (world.calls, seconds) == ([("reboot", "to try slot B")], GOING_DOWN)


def test_an_ending_is_written_down_before_the_server_is_told() -> None:
    world = World()
    assert paid(world, Report(UPDATE, FAILURE)) == Reported()
    assert world.calls == [("note", UPDATE, FAILURE), ("report", UPDATE, FAILURE)]


def test_of_a_trial_that_was_begun_by_hand_only_the_history_tells() -> None:
    world, by_hand = World(), replace(UPDATE, action="")
    assert paid(world, Report(by_hand, FAILURE)) == Reported()
    assert world.calls == [("note", by_hand, FAILURE)]


@pytest.mark.parametrize("error", [DeviceError("the disk is full"), OperatorError("no rights")])
def test_a_history_that_cannot_be_written_keeps_nobody_waiting(
    error: AgentError, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(forgetful=error)
    assert paid(world, Report(UPDATE, FAILURE)) == Reported()
    assert world.calls == [("report", UPDATE, FAILURE)]
    assert str(error) in caplog.text
