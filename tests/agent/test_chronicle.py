"""What is written down of endings, how often, and with whose last words."""

from __future__ import annotations

import asyncio
from collections.abc import Container
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flipside_agent.boot import Boot
from flipside_agent.chronicle import Archive, Chronicle, archive, prepare
from flipside_agent.diagram import FAILURE, UPDATE
from flipside_agent.errors import DeviceError
from flipside_agent.history import PAGES, Entry
from flipside_agent.last_words import Trial
from flipside_agent.page import SIZE
from flipside_agent.pages import FilePages, Ring
from flipside_agent.update import Outcome, Update, Verdict
from models.rights import longest_file

SUCCESS = Outcome(Verdict.SUCCESS, "slot B is healthy and confirmed")
CANCELED = Outcome(Verdict.CANCELED, "cancelled while waiting")
BASE = Boot("base", "A", "B", trial=False, counted=False, version="1")
TRIAL = Boot("trial 1", "B", "A", trial=True, counted=False, version="2")
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass
class SystemJournal:
    """The trials that left a journal, oldest first, and what was asked about them."""

    trials: dict[Trial, tuple[str, ...]] = field(default_factory=dict)
    asked: int = 0

    async def failed_trial(self, slot: str, told: Container[str]) -> tuple[str, tuple[str, ...]]:
        """As :func:`flipside_agent.journald.failed_trial`."""
        self.asked += 1
        newest = next(reversed(self.trials), None)
        if newest is None or newest.slot != slot or newest.boot in told:
            return "", ()
        return newest.boot, self.trials[newest]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history"


@pytest.fixture
def journal() -> SystemJournal:
    return SystemJournal()


@dataclass
class Device:
    """An agent's chronicle, from whichever slot runs."""

    path: Path
    journal: SystemJournal

    def ends(self, outcome: Outcome, here: Boot = BASE, update: Update = UPDATE) -> None:
        chronicle = Chronicle(archive(self.path), here, lambda: NOON, self.journal.failed_trial)
        asyncio.run(chronicle.note(update, outcome))

    @property
    def history(self) -> list[Entry]:
        return archive(self.path).entries()


@pytest.fixture
def device(path: Path, journal: SystemJournal) -> Device:
    return Device(path, journal)


def update(action: int, target: str = "B") -> Update:
    return replace(UPDATE, action=str(action), target=target, base="A" if target == "B" else "B")


def test_where_nothing_ended_there_is_no_history(device: Device) -> None:
    assert device.history == []
    assert not device.path.exists()


def test_endings_are_kept_in_their_order(device: Device) -> None:
    device.ends(FAILURE, update=update(7))
    device.ends(CANCELED, update=update(8))
    device.ends(SUCCESS, TRIAL, update=update(9))
    verdicts = [(entry.action, entry.verdict) for entry in device.history]
    assert verdicts == [("7", "failure"), ("8", "canceled"), ("9", "success")]


def test_an_ending_that_is_told_again_is_written_down_once(device: Device) -> None:
    device.ends(FAILURE)
    before = device.path.read_bytes()
    device.ends(FAILURE, replace(BASE, id="another boot"))
    assert len(device.history) == 1
    assert device.path.read_bytes() == before
    assert device.journal.asked == 1


def test_an_action_that_ended_otherwise_after_all_is_told_twice(device: Device) -> None:
    device.ends(SUCCESS, TRIAL)
    device.ends(Outcome(Verdict.FAILURE, "the device left slot B after it had been confirmed"))
    assert [entry.verdict for entry in device.history] == ["success", "failure"]


def test_the_newest_are_kept(device: Device) -> None:
    for action in range(PAGES + 10):
        device.ends(FAILURE, update=update(action))
    actions = [int(entry.action) for entry in device.history]
    assert actions == list(range(10, PAGES + 10))
    assert device.path.stat().st_size == PAGES * SIZE


def test_a_boot_that_failed_is_told_with_its_last_words(device: Device) -> None:
    device.journal.trials = {Trial("trial 1", "B"): ("probe: no pulse",)}
    device.ends(FAILURE)
    (entry,) = device.history
    assert (entry.journal, entry.boot) == (("probe: no pulse",), "trial 1")


def test_the_last_words_of_one_update_are_not_those_of_the_next(device: Device) -> None:
    """The second one's kernel panics: its boot leaves nothing in the journal."""
    device.journal.trials = {Trial("trial 1", "B"): ("probe: no pulse",)}
    device.ends(FAILURE, update=update(7))
    device.ends(Outcome(Verdict.FAILURE, "slot B went down"), update=update(8))
    assert device.history[-1].journal == ()


def test_a_success_is_not_what_the_next_failure_is_told_with(device: Device) -> None:
    device.journal.trials = {Trial("trial 1", "B"): ("all is well",)}
    device.ends(SUCCESS, TRIAL, update=update(7))
    refused = Outcome(Verdict.FAILURE, "RAUC refused the bundle")
    device.ends(refused, replace(TRIAL, trial=False), update=update(8, target="A"))
    # And some day the device fell back to A, for reasons of its own.
    device.ends(refused, BASE, update=update(9))
    assert [entry.journal for entry in device.history] == [(), (), ()]


def test_a_boot_that_could_not_be_left_is_not_its_own_witness(device: Device) -> None:
    device.journal.trials = {Trial("trial 1", "B"): ("still here",)}
    device.ends(Outcome(Verdict.FAILURE, "the device could not leave slot B"), TRIAL)
    (entry,) = device.history
    assert (entry.journal, entry.boot) == ((), "trial 1")


@pytest.mark.parametrize("outcome", [SUCCESS, CANCELED])
def test_nobody_is_asked_for_last_words_where_nothing_failed(
    device: Device, outcome: Outcome
) -> None:
    device.ends(outcome, TRIAL)
    assert device.journal.asked == 0


def test_two_trials_that_were_begun_by_hand_are_two(device: Device) -> None:
    by_hand = replace(UPDATE, action="")
    device.ends(SUCCESS, TRIAL, by_hand)
    device.ends(SUCCESS, TRIAL, by_hand)
    device.ends(SUCCESS, replace(TRIAL, id="trial 2"), by_hand)
    assert [entry.boot for entry in device.history] == ["trial 1", "trial 2"]


@pytest.mark.parametrize("number", range(3))
def test_a_page_that_is_damaged_is_lost_alone(device: Device, number: int) -> None:
    for action in range(3):
        device.ends(FAILURE, update=update(action))
    raw = bytearray(device.path.read_bytes())
    raw[number * SIZE + 50] ^= 0x10
    device.path.write_bytes(raw)
    assert [int(entry.action) for entry in device.history] == [n for n in range(3) if n != number]


def test_an_entry_that_says_nothing_to_us_is_left_out_and_left_alone(device: Device) -> None:
    device.ends(FAILURE, update=update(7))
    Ring(FilePages(device.path, PAGES), PAGES).write(9, b'{"epoch":"later"}')
    device.ends(FAILURE, update=update(8))
    assert [entry.action for entry in device.history] == ["7", "8"]
    assert b'{"epoch":"later"}' in device.path.read_bytes()


def test_a_full_disk_is_told_and_the_history_goes_on_when_there_is_room(device: Device) -> None:
    with longest_file(10 * SIZE), pytest.raises(DeviceError, match="cannot write the history"):
        device.ends(FAILURE, update=update(7))
    device.ends(FAILURE, update=update(8))
    assert [entry.action for entry in device.history] == ["8"]
    with longest_file(PAGES * SIZE):
        device.ends(FAILURE, update=update(9))
    assert [entry.action for entry in device.history] == ["8", "9"]


def test_room_that_was_taken_in_time_is_there_when_the_disk_is_full(device: Device) -> None:
    prepare(device.path)
    made = device.path.stat()
    with longest_file(PAGES * SIZE):
        prepare(device.path)
        device.ends(FAILURE)
    assert len(device.history) == 1
    assert (device.path.stat().st_ino, device.path.stat().st_size) == (made.st_ino, PAGES * SIZE)


def test_a_power_cut_at_any_sector_costs_at_most_what_was_to_be_overwritten(
    device: Device,
) -> None:
    for action in range(PAGES):
        device.ends(FAILURE, update=update(action))
    before = device.path.read_bytes()
    device.ends(FAILURE, update=update(PAGES))
    after = device.path.read_bytes()
    kept = list(range(1, PAGES))
    for at in range(0, SIZE + 1, 512):
        for torn in (after[:at] + before[at:], before[:at] + after[at:SIZE] + before[SIZE:]):
            device.path.write_bytes(torn)
            left = [int(entry.action) for entry in device.history]
            assert left in ([0, *kept], kept, [*kept, PAGES])


def test_an_archive_may_be_anywhere(path: Path) -> None:
    assert Archive(Ring(FilePages(path, PAGES), PAGES)).entries() == []
