"""The main loop, in a world where waiting takes no time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest

from flipside_agent.boot import Boot
from flipside_agent.contact import Line
from flipside_agent.diagram import BUNDLE, FAILURE, HASH, SEEN, UPDATE
from flipside_agent.errors import DeviceError, NetworkError
from flipside_agent.herald import Herald
from flipside_agent.journal import Journal
from flipside_agent.payment import Payment
from flipside_agent.ports import Poll, Refusal
from flipside_agent.record import Record
from flipside_agent.runner import Runner
from flipside_agent.service import Ports, Service
from flipside_agent.states import Idle, Installing, Rebooting, Reporting, State, Waiting
from flipside_agent.update import (
    Bundle,
    Diagnosis,
    Inspection,
    Offer,
    Outcome,
    SlotStatus,
    Update,
    Verdict,
)
from models.virtual_time import run_virtually

BASE = Boot("boot 1", "A", "B", trial=False, counted=False, version="1")
COUNTED = Boot("boot 1", "A", "B", trial=False, counted=True)
TRIAL = Boot("boot 2", "B", "A", trial=True, counted=True)
OFFER = Offer("7", BUNDLE)
TICK = 10.0


class Stop(BaseException):
    """The curtain falls."""


@dataclass
class Stage:
    """Every port, and a script for each that matters."""

    boot: Boot
    poll_says: Callable[[float], Poll] = lambda _now: Poll(60)
    network: Callable[[float], bool] = lambda _now: True
    inspecting: float = 0.0
    installing: float = 0.0
    until: Callable[[Stage], bool] = lambda _stage: False
    """The play ends when this is true."""
    healthy_from: float = 0.0
    pages: list[bytes] = field(default_factory=lambda: [b"", b""])
    writes: int = 0
    calls: list[tuple[float, str]] = field(default_factory=list)
    reports: list[tuple[float, Outcome]] = field(default_factory=list)
    noted: list[Outcome] = field(default_factory=list)
    answers: list[tuple[str, bool, str]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    attributes: list[dict[str, str]] = field(default_factory=list)
    beats: list[float] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)

    # The journal's pages.

    def read(self, number: int) -> bytes:
        return self.pages[number]

    def write(self, number: int, raw: bytes) -> None:
        self.pages[number] = raw
        self.writes += 1

    @property
    def state(self) -> State:
        record = Journal(self).load()
        return record.state if record else Idle()

    # The notifier.

    def ready(self) -> None:
        self.beats.append(self._now())

    def watchdog(self) -> None:
        self.beats.append(self._now())
        if self.until(self):
            raise Stop

    def status(self, sentence: str) -> None:
        self.statuses.append(sentence)

    # The server.

    async def poll(self) -> Poll:
        self._reach("poll")
        return self.poll_says(self._now())

    async def report(self, update: Update, outcome: Outcome) -> None:
        self._reach("report")
        self.reports.append((self._now(), outcome))

    async def note(self, update: Update, outcome: Outcome) -> None:
        self.noted.append(outcome)

    async def progress(self, action: str, sentence: str) -> None:
        self.told.append(f"{action}: {sentence}")
        await asyncio.sleep(3600)  # nobody waits for this
        raise NetworkError("no route")

    async def answer_cancel(self, action: str, *, accepted: bool, reason: str) -> None:
        self._reach("answer")
        self.answers.append((action, accepted, reason))

    async def send_attributes(self, attributes: dict[str, str]) -> None:
        self.attributes.append(attributes)

    # The installer, the health checks and the power.

    async def inspect(self, bundle: Bundle) -> Inspection:
        self._note("inspect")
        await asyncio.sleep(self.inspecting)
        return SEEN

    async def install(self, bundle: Bundle, inspection: Inspection, target: str) -> None:
        self._note("install")
        await asyncio.sleep(self.installing)
        self._reach("fetch")

    async def slot_status(self, slot: str) -> SlotStatus:
        return SlotStatus(slot, written=True, manifest_hash=HASH, good=False)

    async def activate(self, slot: str) -> None:
        self._note("activate")

    async def mark_good(self) -> None:
        self._note("mark_good")

    async def mark_bad(self, slot: str) -> None:
        self._note("mark_bad")

    async def diagnose(self) -> Diagnosis:
        self._note("diagnose")
        well = self._now() >= self.healthy_from
        return Diagnosis(True) if well else Diagnosis(False, "probe", "the probe failed")

    async def reboot(self, reason: str) -> None:
        self._note(f"reboot {reason}")

    # Behind the scenes.

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _note(self, what: str) -> None:
        self.calls.append((self._now(), what))

    def _reach(self, what: str) -> None:
        self._note(what)
        if not self.network(self._now()):
            raise NetworkError("no route to the server")

    def times(self, what: str) -> list[float]:
        return [at for at, name in self.calls if name == what]

    def named(self, *without: str) -> list[str]:
        return [name for _, name in self.calls if name not in without]

    def play(self, state: State | None = None, boot: str = "earlier") -> None:
        """Begin with this state in the journal, and let the service live until the end."""
        if state:
            Journal(self).save(Record(state, boot))
            self.writes = 0
        with pytest.raises(Stop):
            run_virtually(self.live())

    async def live(self) -> None:
        """The play, without its audience."""
        line = Line(self, lambda: 1.0)
        herald = Herald(self, self)
        payment = Payment(self, self, self, self, line, self)
        ports = Ports(payment, self, line, herald, self, lambda: 1.0)
        runner = Runner(Journal(self), self.boot)
        await Service(runner, ports, self.boot, {"board": "qemu"}, TICK).run()


def offers(_now: float) -> Poll:
    return Poll(60, offer=OFFER)


def did(what: str) -> Callable[[Stage], bool]:
    return lambda stage: what in stage.named()


def idle(stage: Stage) -> bool:
    return isinstance(stage.state, Idle) and bool(stage.reports)


def test_an_offer_is_worked_off_up_to_the_reboot() -> None:
    stage = Stage(BASE, poll_says=offers, until=did("reboot to try slot B"))
    stage.play()
    assert stage.named("fetch") == [
        "poll",
        "inspect",
        "install",
        "activate",
        "reboot to try slot B",
    ]
    assert stage.state == Rebooting(replace(UPDATE, replaces="1"))
    assert stage.reports == []


def test_a_trial_is_verified_committed_and_then_reported() -> None:
    stage = Stage(TRIAL, until=idle)
    stage.play(Rebooting(UPDATE))
    assert stage.named("poll") == ["diagnose", "mark_good", "report"]
    assert [outcome.verdict for _, outcome in stage.reports] == [Verdict.SUCCESS]
    assert stage.statuses == [
        "verifying: 2 in slot B",
        "committing: 2 in slot B",
        "reporting: 2 in slot B",
        "idle",
    ]


def test_the_watchdog_is_fed_all_through_a_long_installation() -> None:
    stage = Stage(BASE, poll_says=offers, installing=1000, until=did("activate"))
    stage.play()
    gaps = [later - earlier for earlier, later in pairwise(stage.beats)]
    assert stage.beats[-1] >= 1000
    assert max(gaps) <= TICK


def test_the_server_is_told_how_it_goes_as_well_as_it_can_be_reached() -> None:
    stage = Stage(BASE, poll_says=offers, installing=10, until=did("activate"))
    stage.play()
    assert stage.told == ["7: preparing: 2 in slot B"]  # the rest waits behind the first


def test_attributes_are_sent_once_unasked_and_whenever_they_are_wanted() -> None:
    asked = [False, False, True, False]
    stage = Stage(
        BASE,
        poll_says=lambda _now: Poll(60, wants_attributes=asked.pop(0) if asked else False),
        until=lambda stage: len(stage.times("poll")) == 5,
    )
    stage.play()
    assert stage.attributes == [{"board": "qemu", "trouble": ""}] * 2


def test_a_damaged_boot_state_is_told() -> None:
    stage = Stage(
        replace(COUNTED, damage="boot.env: no signature"),
        until=lambda stage: bool(stage.attributes),
    )
    stage.play()
    assert stage.attributes == [{"board": "qemu", "trouble": "boot.env: no signature"}]


def cancels_from(when: float) -> Callable[[float], Poll]:
    return lambda now: Poll(60, cancel="7") if now >= when else Poll(60, offer=OFFER)


def test_a_cancellation_during_the_inspection_stops_it_and_is_the_result() -> None:
    stage = Stage(BASE, poll_says=cancels_from(60), inspecting=600, until=idle)
    stage.play()
    assert [(at, said.verdict) for at, said in stage.reports] == [(60, Verdict.CANCELED)]
    assert stage.answers == []
    assert "install" not in stage.named()


def test_a_cancellation_during_the_installation_is_too_late() -> None:
    stage = Stage(BASE, poll_says=cancels_from(60), installing=100, until=did("activate"))
    stage.play()
    assert stage.answers == [("7", False, "too late, the device is installing")]


def test_a_cancellation_of_what_was_never_begun_is_accepted() -> None:
    stage = Stage(
        BASE, poll_says=lambda _now: Poll(60, cancel="9"), until=lambda stage: bool(stage.answers)
    )
    stage.play()
    assert stage.answers == [("9", True, "it was never begun here")]
    assert stage.writes == 0


def test_an_outage_is_waited_for_and_the_installation_begun_again() -> None:
    gone = (100, 460)
    stage = Stage(
        BASE,
        poll_says=lambda _now: Poll(3600, offer=OFFER),
        network=lambda now: not gone[0] <= now < gone[1],
        installing=120,
        until=did("activate"),
    )
    stage.play()
    # It notices at 120, asks after 10 s, and with ever longer pauses until it is answered.
    assert stage.times("poll") == [0, 130, 135, 145, 165, 205, 285, 405, 525]
    assert stage.times("install") == [0, 525]


def test_the_cancellation_that_ends_an_outage_comes_before_the_installation() -> None:
    stage = Stage(
        BASE,
        poll_says=lambda now: Poll(3600, cancel="7") if now else Poll(3600, offer=OFFER),
        network=lambda now: now < 100 or now > 200,
        installing=120,
        until=idle,
    )
    stage.play()
    assert len(stage.times("install")) == 1
    assert [said.verdict for _, said in stage.reports] == [Verdict.CANCELED]


def test_a_report_is_tried_for_ever_ever_less_often_and_without_a_write() -> None:
    stage = Stage(
        BASE, poll_says=lambda _now: Poll(9e9), network=lambda now: now > 7200, until=idle
    )
    stage.play(Reporting(UPDATE, FAILURE), BASE.id)
    times = stage.times("report")
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses[:8] == [2, 4, 8, 16, 32, 64, 128, 256]
    assert set(pauses[8:]) == {300}
    assert stage.reports == [(times[-1], FAILURE)]
    assert stage.writes == 1  # that it is idle


def test_a_sick_base_is_looked_at_again_and_confirmed_when_it_is_well() -> None:
    stage = Stage(COUNTED, healthy_from=100, until=did("mark_good"))
    stage.play()
    assert stage.times("diagnose") == [0, 2, 6, 14, 30, 62, 126]


def test_a_sick_base_takes_an_offer_meanwhile() -> None:
    stage = Stage(COUNTED, poll_says=offers, healthy_from=9e9, until=did("inspect"))
    stage.play()
    assert "mark_good" not in stage.named()


def test_a_new_agent_in_the_same_boot_goes_on_waiting() -> None:
    stage = Stage(BASE, until=did("install"))
    stage.play(Waiting(UPDATE, SEEN), BASE.id)
    assert stage.times("install") == [5]


def test_a_restarted_agent_installs_again() -> None:
    stage = Stage(BASE, until=did("activate"))
    stage.play(Installing(UPDATE, SEEN), BASE.id)
    assert stage.times("install") == [0]


class ReadOnly(Stage):
    """A device whose data partition takes no more writes."""

    def write(self, number: int, raw: bytes) -> None:
        raise DeviceError("the disk is gone")


def test_a_trial_without_a_journal_ends_the_agent_and_nothing_is_paid() -> None:
    stage = ReadOnly(TRIAL)
    with pytest.raises(DeviceError, match="the disk is gone"):
        run_virtually(stage.live())
    assert stage.calls == []


def test_a_confirmed_slot_without_a_journal_is_kept_and_updates_are_refused() -> None:
    stage = ReadOnly(COUNTED, poll_says=offers, until=did("mark_good"))
    stage.play()
    assert {outcome for _, outcome in stage.reports} == {
        Outcome(Verdict.FAILURE, "refused: the disk is gone")
    }
    assert {seen["trouble"] for seen in stage.attributes} == {"the disk is gone"}
    assert not stage.times("inspect")


def test_a_disk_that_wears_out_at_an_offer_is_told_and_the_offer_refused() -> None:
    class Worn(Stage):
        def write(self, number: int, raw: bytes) -> None:
            raise DeviceError("the disk is gone")

    stage = Worn(BASE, poll_says=offers, until=lambda stage: bool(stage.reports))
    stage.play()
    assert {outcome for _, outcome in stage.reports} == {
        Outcome(Verdict.FAILURE, "refused: the disk is gone")
    }
    assert {seen["trouble"] for seen in stage.attributes} == {"the disk is gone"}
    assert not stage.times("inspect")


def test_a_deployment_that_makes_no_sense_is_written_down_and_told() -> None:
    stage = Stage(
        BASE,
        poll_says=lambda _now: Poll(60, refused=Refusal("7", "it has no size")),
        until=lambda stage: len(stage.reports) == 2,  # the server has not closed it
    )
    stage.play()
    refused = Outcome(Verdict.FAILURE, "it has no size")
    assert [outcome for _, outcome in stage.reports] == [refused] * 2
    assert stage.noted == [refused] * 2
    assert stage.writes == 0
    assert isinstance(stage.state, Idle)


def test_a_refusal_that_could_not_be_told_is_told_at_the_next_poll() -> None:
    class Deaf(Stage):
        async def report(self, update: Update, outcome: Outcome) -> None:
            if len(self.noted) == 1:
                raise NetworkError("the server is busy")
            await super().report(update, outcome)

    stage = Deaf(
        BASE,
        poll_says=lambda _now: Poll(60, refused=Refusal("7", "it has no size")),
        until=lambda stage: bool(stage.reports),
    )
    stage.play()
    assert stage.times("poll") == [0, 60]
    assert stage.times("report") == [60]


def test_a_story_that_cannot_be_written_on_waits() -> None:
    stage = ReadOnly(COUNTED, until=lambda stage: bool(stage.attributes))
    Journal(Stage(COUNTED, pages=stage.pages)).save(Record(Installing(UPDATE, SEEN), "boot 0"))
    stage.play()
    assert stage.state == Installing(UPDATE, SEEN)
    assert not stage.times("install")


def test_a_journal_that_fails_later_ends_the_agent() -> None:
    class Worn(Stage):
        def write(self, number: int, raw: bytes) -> None:
            super().write(number, raw)
            if self.writes == 2:
                raise DeviceError("the disk is gone")

    stage = Worn(COUNTED)
    with pytest.raises(DeviceError, match="the disk is gone"):
        run_virtually(stage.live())
    assert not stage.times("mark_good")


def test_a_bug_in_a_payment_ends_the_agent() -> None:
    class Buggy(Stage):
        async def diagnose(self) -> Diagnosis:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_virtually(Buggy(TRIAL).live())


def test_what_rauc_says_is_said_to_systemd() -> None:
    stage = Stage(BASE)

    async def story() -> None:
        herald = Herald(stage, stage)
        herald.announce(Installing(UPDATE, SEEN))
        herald.progress(44, "Checking slot rootfs.1")

    run_virtually(story())
    assert stage.statuses[-1] == "installing: 2 in slot B: 44 %, Checking slot rootfs.1"
