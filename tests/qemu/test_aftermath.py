"""What is wrong with a cut, and what is not: each law broken once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from flipside_agent import history
from flipside_agent.diagram import SEEN, UPDATE
from flipside_agent.history import Entry
from flipside_agent.journal import Journal, MemoryPages
from flipside_agent.page import Page, seal
from flipside_agent.record import Record
from flipside_agent.states import (
    Activating,
    Checking,
    Committing,
    Confirming,
    Idle,
    Installing,
    Preparing,
    Rebooting,
    Reporting,
    State,
    Status,
    Verifying,
)
from flipside_agent.update import Finished, Outcome, Verdict
from flipside_bootctl import counted, grubenv
from flipside_bootctl.state import BAD, BootState, Slot
from flipside_qemu import findings
from flipside_qemu.aftermath import (
    HISTORY,
    IDENTITY,
    JOURNAL,
    STATUS,
    Attempt,
    Content,
    Cycle,
    Expectation,
    Remains,
    expected,
    story,
)
from flipside_qemu.counted_grub import COMMITS, STATES, CountedGrub
from flipside_qemu.cuts import Cut, Kind
from flipside_qemu.findings import Finding, Seen, kind_of
from flipside_qemu.harm import Harm, violations
from flipside_qemu.recording import Mark
from models.stock_grub import ENVIRONMENT, FRESH, StockGrub

SUCCESS = Outcome(Verdict.SUCCESS, "slot B is healthy and confirmed")
FAILURE = Outcome(Verdict.FAILURE, "slot B went down")
GOOD, TRIAL = Slot(9, confirmed=True), Slot(3, confirmed=False)
BASE = BootState("A", {"A": GOOD, "B": BAD})
TRIED = BootState("B", {"A": GOOD, "B": TRIAL})
LANDED = BootState("B", {"A": GOOD, "B": GOOD})
ENTRY = Entry("7", "2", "1", "B", "2026-11-23T17:00:00Z", "success", SUCCESS.reason)
DONE = Idle(Finished(UPDATE, SUCCESS))


def boot_files(state: BootState, committed: str) -> dict[str, bytes]:
    return {
        "flipside/grub.cfg": b"script",
        STATES: grubenv.encode(counted.to_variables(state)),
        COMMITS: grubenv.encode({"committed": committed}),
    }


def journal(*states: State) -> bytes:
    pages = MemoryPages()
    for state in states:
        Journal(pages).save(Record(state, boot="boot"))
    return pages.read(0).ljust(4096, b"\0") + pages.read(1)


def entries(*told: Entry) -> bytes:
    return b"".join(
        seal(Page(serial, history.FORMAT, history.encode(entry)))
        for serial, entry in enumerate(told, start=1)
    )


def remains(
    boot: Mapping[str, bytes], b: Content, *states: State, told: tuple[Entry, ...] = ()
) -> Remains:
    data = {JOURNAL: journal(*states), HISTORY: entries(*told), IDENTITY: b"unit-1"}
    return Remains(boot, {"A": Content.OLD, "B": b}, data)


FIRST = remains(boot_files(BASE, "A"), Content.OLD)
CYCLE = Cycle(CountedGrub(), FIRST, UPDATE.action)
ON_BASE, ON_TRIAL = boot_files(BASE, "A"), boot_files(TRIED, "A")
CONFIRMED, COMMITTED = boot_files(LANDED, "A"), boot_files(LANDED, "B")
WAY = (
    FIRST,
    remains(ON_BASE, Content.OLD, Checking(Idle())),
    remains(ON_BASE, Content.OLD, Confirming(Idle())),
    remains(ON_BASE, Content.OLD, Preparing(UPDATE)),
    remains(ON_BASE, Content.HALF, Installing(UPDATE, SEEN)),
    remains(ON_BASE, Content.NEW, Activating(UPDATE)),
    remains(ON_TRIAL, Content.NEW, Activating(UPDATE)),
    remains(ON_TRIAL, Content.NEW, Rebooting(UPDATE)),
    remains(ON_TRIAL, Content.NEW, Verifying(UPDATE)),
    remains(CONFIRMED, Content.NEW, Committing(UPDATE)),
    remains(COMMITTED, Content.NEW, Reporting(UPDATE, SUCCESS)),
    remains(COMMITTED, Content.NEW, Reporting(UPDATE, SUCCESS), told=(ENTRY,)),
    remains(COMMITTED, Content.NEW, DONE, told=(ENTRY,)),
    remains(COMMITTED, Content.NEW, Checking(DONE), told=(ENTRY,)),
)


def harms(found: Remains, acknowledged: int = 0) -> list[Harm]:
    return [violation.harm for violation in violations(CYCLE, found, acknowledged)]


@pytest.mark.parametrize("found", WAY, ids=lambda found: str(story(found).record.state)[:40])
def test_nothing_is_wrong_on_the_way_of_an_update(found: Remains) -> None:
    assert violations(CYCLE, found) == []


def test_every_step_of_the_way_is_a_class_of_its_own() -> None:
    assert len({kind_of(CYCLE, found) for found in WAY}) == len(WAY)


def test_attempts_and_serials_make_no_class() -> None:
    again = boot_files(BASE.with_slot("A", Slot(4, confirmed=True)), "A")
    twice = remains(again, Content.OLD, Checking(Idle()), Checking(Idle()))
    assert kind_of(CYCLE, twice) == kind_of(CYCLE, WAY[1])


# The loader


def test_no_script_is_a_brick() -> None:
    lost = {name: content for name, content in ON_BASE.items() if name != "flipside/grub.cfg"}
    assert harms(replace(FIRST, boot=lost)) == [Harm.BRICK]
    assert Harm.BRICK in harms(replace(FIRST, boot={}))


def test_a_slot_that_is_not_whole_must_not_be_booted_nor_fallen_back_upon() -> None:
    assert harms(remains(ON_TRIAL, Content.HALF, Activating(UPDATE))) == [Harm.BRICK]
    lost = replace(WAY[7], slots={"A": Content.HALF, "B": Content.NEW})
    assert harms(lost) == [Harm.BRICK]


def test_an_environment_that_cannot_be_read_falls_back_on_the_committed_slot() -> None:
    torn = {**ON_TRIAL, STATES: b""}
    assert CountedGrub().attempts(torn) == (Attempt("A", trial=False),)
    assert harms(replace(FIRST, boot=torn)) == []
    assert harms(remains(torn, Content.NEW, Rebooting(UPDATE))) == [Harm.ROLLED_BACK]


@pytest.mark.parametrize(
    ("state", "committed", "attempts"),
    [
        (BASE, "A", [("A", False), ("A", False)]),
        (TRIED, "A", [("B", True), ("A", False), ("A", False)]),
        (LANDED, "B", [("B", False), ("A", False), ("B", False)]),
        (TRIED.with_slot("B", Slot(0, confirmed=False)), "A", [("A", False), ("A", False)]),
        (BootState("A", {"A": BAD, "B": BAD}), "B", [("B", False)]),
    ],
)
def test_the_counted_script_tries_what_has_attempts_left(
    state: BootState, committed: str, attempts: list[tuple[str, bool]]
) -> None:
    assert list(CountedGrub().attempts(boot_files(state, committed))) == attempts


@pytest.mark.parametrize(
    ("changed", "attempts"),
    [
        ({}, ["A", "A"]),
        ({"A_TRY": "1"}, ["A"]),
        ({"ORDER": "B A", "B_OK": "1"}, ["B", "A", "B", "A"]),
        ({"ORDER": "B A", "B_OK": "1", "B_TRY": "1"}, ["A", "B", "A"]),
        ({"A_OK": "0"}, []),
    ],
)
def test_the_stock_script_tries_what_is_good_and_was_not_tried(
    changed: dict[str, str], attempts: list[str]
) -> None:
    files = {ENVIRONMENT: grubenv.encode({**FRESH, **changed})}
    assert [attempt.slot for attempt in StockGrub().attempts(files)] == attempts


def test_the_stock_script_has_nothing_without_its_environment() -> None:
    assert StockGrub().attempts({ENVIRONMENT: b""}) == ()


# The story


def test_a_device_that_runs_the_new_slot_knows_of_the_update() -> None:
    assert harms(remains(ON_TRIAL, Content.NEW, Idle())) == [Harm.LIE]
    assert harms(remains(CONFIRMED, Content.NEW, Idle())) == [Harm.LIE]


def test_it_does_not_take_the_new_slot_for_half_written() -> None:
    found = remains(CONFIRMED, Content.NEW, Installing(UPDATE, SEEN))
    assert harms(found) == [Harm.LIE]


def test_it_does_not_tell_of_success_before_the_slot_is_confirmed() -> None:
    assert harms(remains(ON_TRIAL, Content.NEW, Reporting(UPDATE, SUCCESS))) == [Harm.LIE]
    assert harms(remains(ON_TRIAL, Content.NEW, Verifying(UPDATE), told=(ENTRY,))) == [Harm.LIE]
    assert Harm.LIE in harms(remains(ON_BASE, Content.NEW, Activating(UPDATE), told=(ENTRY,)))


@pytest.mark.parametrize("state", [Rebooting(UPDATE), Verifying(UPDATE), Committing(UPDATE)])
def test_it_does_not_go_back_from_a_healthy_slot(state: State) -> None:
    assert harms(remains(ON_BASE, Content.NEW, state)) == [Harm.ROLLED_BACK]


def test_no_failure_is_in_its_history() -> None:
    failed = replace(ENTRY, verdict="failure", reason=FAILURE.reason)
    assert harms(remains(COMMITTED, Content.NEW, Committing(UPDATE), told=(failed,))) == [Harm.LIE]


def test_what_is_over_is_in_its_history_once() -> None:
    assert harms(remains(COMMITTED, Content.NEW, DONE)) == [Harm.FORGOTTEN]
    assert harms(remains(COMMITTED, Content.NEW, DONE, told=(ENTRY, ENTRY))) == [Harm.FORGOTTEN]


# The data


def test_a_data_partition_that_nobody_can_mend_is_forgotten() -> None:
    assert harms(replace(FIRST, data=None)) == [Harm.FORGOTTEN]


def test_so_is_an_identity() -> None:
    assert FIRST.data is not None
    assert harms(replace(FIRST, data={**FIRST.data, IDENTITY: b""})) == [Harm.FORGOTTEN]


def test_so_is_a_record_that_was_spoken_of() -> None:
    found = remains(ON_BASE, Content.OLD, Checking(Idle()), Confirming(Idle()))
    assert harms(found, acknowledged=2) == []
    assert harms(found, acknowledged=3) == [Harm.FORGOTTEN]


@pytest.mark.parametrize(("content", "found"), [(Content.NEW, []), (Content.HALF, [Harm.LIE])])
def test_rauc_calls_a_slot_written_only_if_it_is(content: Content, found: list[Harm]) -> None:
    writing = remains(ON_BASE, content, Installing(UPDATE, SEEN))
    assert writing.data is not None
    status = {STATUS: b"[slot.rootfs.1]\nstatus=ok\n"}
    assert harms(replace(writing, data={**writing.data, **status})) == found


# The next boot


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (WAY[0], ("A", False, "verifying", Status.IDLE)),
        (WAY[4], ("A", False, "verifying: 2 in slot B", Status.INSTALLING)),
        (WAY[6], ("B", True, "verifying: 2 in slot B", Status.VERIFYING)),
        (WAY[12], ("B", False, "verifying", Status.IDLE)),
    ],
)
def test_what_the_next_boot_will_show(found: Remains, shown: Expectation) -> None:
    assert expected(CYCLE, found) == shown


def test_nothing_is_expected_of_a_brick() -> None:
    stock = replace(CYCLE, loader=StockGrub())
    assert expected(stock, replace(FIRST, boot={ENVIRONMENT: b""})) is None


# The findings

SPOKEN = {1: "verifying", 2: "committing", 3: "idle", 4: "verifying", 5: "idle"}


def test_each_sentence_acknowledges_the_next_record_that_has_it() -> None:
    marks = [
        *(Mark(1, "slot A "), Mark(5, "verifying"), Mark(5, "health check x passed")),
        *(Mark(9, "idle"), Mark(12, "slot A "), Mark(14, "verifying"), Mark(20, "idle")),
    ]
    moments = findings.timeline(marks, SPOKEN)
    assert [(moment.entries, moment.serial) for moment in moments] == [
        *((0, 0), (1, 0), (5, 1), (9, 3), (12, 3), (14, 4), (20, 5))
    ]


def judged() -> list[Finding]:
    """A cut before and one after the agent has said what it wrote, and one that lost it."""
    marks = [Mark(1, "slot A "), Mark(6, "committing")]
    further = remains(ON_BASE, Content.OLD, Checking(Idle()), Confirming(Idle()))
    seen = [
        Seen(0, Cut(Kind.UP_TO, 3, 2), "data", WAY[1]),
        Seen(1, Cut(Kind.UP_TO, 7, 6), "esp", further),
        Seen(2, Cut(Kind.WITHOUT, 6, 6), "data", WAY[1]),
    ]
    return findings.judged(CYCLE, marks, seen)


def test_what_was_spoken_of_is_wanted_from_then_on() -> None:
    assert [finding.outcome for finding in judged()] == [
        "A, then idle",
        "A, then idle",
        "FORGOTTEN",
    ]


def test_the_table_names_cuts_to_be_made_again() -> None:
    assert findings.table(judged()).splitlines()[1:] == [
        " 1 slot A                        data       A, then idle                     1  0",
        " 2 committing                    data       FORGOTTEN                        1  2",
        " 2 committing                    esp        A, then idle                     1  1",
    ]


def test_one_cut_of_every_class_is_drawn_and_as_many_others_as_are_missing() -> None:
    found = [replace(judged()[0], number=number, kind=number % 5) for number in range(100)]
    drawn = findings.drawn(found, 40, seed=1)
    assert len(drawn) == 40
    assert {finding.kind for finding in drawn} == set(range(5))
    assert drawn == findings.drawn(found, 40, seed=1)
    assert len(findings.drawn(found, 3, seed=1)) == 5
    assert [finding.number for finding in drawn] == sorted(finding.number for finding in drawn)
