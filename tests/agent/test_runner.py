"""The runner: written down first, paid afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from flipside_agent.boot import Boot
from flipside_agent.commands import Activate, Reboot
from flipside_agent.diagram import BUNDLE, UPDATE
from flipside_agent.errors import DeviceError
from flipside_agent.events import Activated, Failed, Healthy, Offered, Reported
from flipside_agent.journal import Journal
from flipside_agent.pages import FilePages
from flipside_agent.record import Record
from flipside_agent.runner import Runner
from flipside_agent.setbacks import IllegalEvent
from flipside_agent.states import (
    Activating,
    Idle,
    Preparing,
    Rebooting,
    Reporting,
    Verifying,
)
from flipside_agent.update import Offer, Outcome, Verdict

BASE = Boot("boot 1", "A", "B", trial=False, counted=False)
TRIAL = Boot("boot 2", "B", "A", trial=True, counted=False)


class Ledger:
    """Two pages, and a note of each write."""

    def __init__(self) -> None:
        self.pages = [b"", b""]
        self.writes = 0

    def read(self, number: int) -> bytes:
        return self.pages[number]

    def write(self, number: int, raw: bytes) -> None:
        self.pages[number] = raw
        self.writes += 1


def begun(ledger: Ledger, boot: Boot) -> Runner:
    runner = Runner(Journal(ledger), boot)
    runner.start()
    return runner


def test_a_new_device_owes_nothing_and_writes_nothing() -> None:
    ledger = Ledger()
    runner = begun(ledger, BASE)
    assert (runner.state, runner.owed, ledger.writes) == (Idle(), None, 0)


def test_what_is_owed_is_on_the_disk_before_anybody_can_pay_it() -> None:
    ledger = Ledger()
    Journal(ledger).save(Record(Activating(UPDATE), boot=BASE.id))
    runner = begun(ledger, BASE)
    assert runner.owed == Activate("B")
    runner.take(Activated())
    assert Journal(ledger).load() == Record(Rebooting(UPDATE), boot=BASE.id)
    assert runner.owed == Reboot("to try slot B")


def test_a_new_boot_and_a_new_agent_are_two_events() -> None:
    ledger = Ledger()
    Journal(ledger).save(Record(Rebooting(UPDATE), boot=BASE.id))
    assert begun(ledger, BASE).state == Rebooting(UPDATE.spend(1))
    assert begun(ledger, TRIAL).state == Verifying(UPDATE)
    assert Journal(ledger).load() == Record(Verifying(UPDATE), boot=TRIAL.id)


def test_a_state_that_stays_costs_no_write() -> None:
    ledger = Ledger()
    outcome = Outcome(Verdict.FAILURE, "the probe failed")
    Journal(ledger).save(Record(Reporting(UPDATE, outcome), boot=BASE.id))
    runner = begun(ledger, BASE)
    before = ledger.writes
    for _ in range(100):
        runner.take(Failed("no route", DeviceError.blame))
    assert ledger.writes == before
    runner.take(Reported())
    assert ledger.writes == before + 1


def test_an_illegal_event_changes_nothing() -> None:
    ledger = Ledger()
    Journal(ledger).save(Record(Preparing(UPDATE), boot="earlier"))
    runner = begun(ledger, BASE)
    state, writes = runner.state, ledger.writes
    with pytest.raises(IllegalEvent):
        runner.take(Healthy())
    assert (runner.state, ledger.writes) == (state, writes)


def test_an_offer_that_cannot_be_written_down_is_not_taken(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    runner = Runner(Journal(FilePages(folder / "journal")), BASE)
    runner.start()
    folder.rmdir()
    runner.take(Offered(Offer("7", BUNDLE), booted="A", other="B"))
    assert "no such directory" in runner.unwritten
    assert runner.state == Idle()
