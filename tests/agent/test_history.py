"""What an entry of the history says, in a page, to agents of other ages, and to a terminal."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as some

from flipside_agent.boot import Boot
from flipside_agent.diagram import BUNDLE, FAILURE, UPDATE
from flipside_agent.history import LINES, LONGEST_LINE, Entry, decode, encode, ended
from flipside_agent.page import ROOM
from flipside_agent.update import NO_BUNDLE, Outcome, Update, Verdict

NOON = datetime(2026, 11, 23, 12, 0, 7, 999999, UTC)
SUCCESS = Outcome(Verdict.SUCCESS, "slot B is healthy and confirmed")
BASE = Boot("b0", "A", "B", trial=False, counted=False, version="1")
TARGET = Boot("b1", "B", "A", trial=True, counted=False, version="2")
TOLD = replace(UPDATE, replaces="1.2")
ENTRY = Entry(
    action="7",
    version="2",
    replaced="1",
    slot="B",
    when="2026-11-23T12:00:07Z",
    verdict="failure",
    reason="the probe failed",
    check="probe",
    journal=("probe: no pulse", "flipside: rolling back"),
    boot="b1",
)
hostile = some.text(max_size=3000)
"""Also half surrogate pairs, zero bytes, quotes and escape characters."""


def test_an_update_that_ended_is_told_with_where_it_came_from_and_went_to() -> None:
    entry = ended(TOLD, FAILURE, BASE, NOON)
    assert entry == Entry(
        action="7",
        version="2",
        replaced="1.2",
        slot="B",
        when="2026-11-23T12:00:07Z",
        verdict="failure",
        reason="the probe failed",
        check="probe",
    )
    assert entry.failed


def test_a_success_names_the_boot_that_it_was() -> None:
    entry = ended(TOLD, SUCCESS, TARGET, NOON)
    assert (entry.verdict, entry.boot, entry.failed) == ("success", "b1", False)


def test_the_time_is_utc_whatever_the_clock_shows() -> None:
    here = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert ended(TOLD, FAILURE, BASE, here).when == "2026-11-23T12:00:07Z"


@pytest.mark.parametrize(
    ("here", "outcome", "versions"),
    [(TARGET, SUCCESS, ("", "2")), (BASE, FAILURE, ("1", ""))],
    ids=["landed", "fell back"],
)
def test_of_a_trial_begun_by_hand_the_running_version_is_known(
    here: Boot, outcome: Outcome, versions: tuple[str, str]
) -> None:
    by_hand = Update("", NO_BUNDLE, base="A", target="B")
    entry = ended(by_hand, outcome, here, NOON)
    assert (entry.replaced, entry.version) == versions


def test_an_entry_comes_back() -> None:
    assert decode(encode(ENTRY)) == ENTRY


def test_the_words_on_disk_are_for_ever() -> None:
    assert json.loads(encode(ENTRY)) == {
        "action": "7",
        "version": "2",
        "from": "1",
        "slot": "B",
        "when": "2026-11-23T12:00:07Z",
        "verdict": "failure",
        "reason": "the probe failed",
        "check": "probe",
        "journal": ["probe: no pulse", "flipside: rolling back"],
        "boot": "b1",
    }


def test_what_a_person_is_shown_is_what_is_on_disk_without_the_boot() -> None:
    document = json.loads(encode(ENTRY))
    del document["boot"]
    assert ENTRY.document() == document


@given(some.lists(hostile, min_size=9, max_size=9), some.lists(hostile, max_size=30))
def test_whatever_comes_is_harmless_fits_its_page_and_comes_back(
    texts: list[str], lines: list[str]
) -> None:
    action, version, replaced, slot, reason, check, boot, other, name = texts
    update = Update(action, replace(BUNDLE, version=version), other, slot, replaced)
    here = Boot(boot, name, "B", trial=False, counted=False, version=name)
    entry = ended(update, Outcome(Verdict.FAILURE, reason, check), here, NOON)
    entry = entry.told_by(boot, lines)
    payload = encode(entry)
    assert len(payload) <= ROOM
    back = decode(payload)
    assert back is not None
    kept = len(back.journal)
    assert back == replace(entry, journal=entry.journal[len(entry.journal) - kept :])
    texts = [getattr(back, each.name) for each in fields(back) if each.name != "journal"]
    assert all(text.isprintable() for text in (*texts, *back.journal))


@given(some.characters(), some.characters())
def test_the_longest_entry_fits_without_its_lines_at_least(one: str, other: str) -> None:
    long = one * 5000
    entry = Entry(long, long, long, long, long, long, long, long)
    entry = entry.told_by(long, [other * 5000] * 40)
    assert len(encode(entry)) <= ROOM


def test_an_ordinary_tail_is_kept_whole() -> None:
    lines = [f"unit: {'x' * (LONGEST_LINE - 10)} {number:02}" for number in range(LINES + 3)]
    entry = ENTRY.told_by("b1", lines)
    assert entry.journal == tuple(lines[3:])
    assert decode(encode(entry)) == entry


def test_where_there_is_no_room_the_oldest_lines_go() -> None:
    lines = [f"{number:02} {'ж' * 190}" for number in range(LINES)]
    back = decode(encode(ENTRY.told_by("b1", lines)))
    assert back is not None
    assert back.reason == ENTRY.reason
    assert 0 < len(back.journal) < LINES
    assert back.journal == tuple(lines[-len(back.journal) :])


def test_no_terminal_obeys_what_somebody_else_wrote_to_the_page() -> None:
    document = ENTRY.document() | {"reason": "\x1b[2Jgone\r\nroot# ", "journal": ["\x9b31m\u202e"]}
    back = decode(json.dumps(document).encode())
    assert back is not None
    assert back.reason == "[2Jgone  root#"
    assert back.journal == ("31m",)


def test_members_of_a_newer_agent_are_ignored_and_its_words_shown() -> None:
    document = json.loads(encode(ENTRY)) | {"cost": {"bytes": 7}, "verdict": "postponed"}
    back = decode(json.dumps(document).encode())
    assert back == replace(ENTRY, verdict="postponed")


def test_members_that_are_missing_or_odd_are_empty() -> None:
    back = decode(b'{"verdict":"success","action":7,"reason":null,"journal":[1,null]}')
    assert back == Entry("", "", "", "", "", "success", "", journal=("1", "None"))


@pytest.mark.parametrize(
    "payload", [b"", b"\xff", b"[]", b"7", b'"failure"', b"{}", b'{"verdict":7}', b'{"verdict":""}']
)
def test_what_is_no_entry_is_none(payload: bytes) -> None:
    assert decode(payload) is None


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (ENTRY, True),
        (replace(ENTRY, when="2026-11-23T12:09:00Z", boot="b9", reason="again", journal=()), True),
        (replace(ENTRY, action="8"), False),
        (replace(ENTRY, verdict="success"), False),
    ],
)
def test_one_ending_is_told_once(other: Entry, same: bool) -> None:
    assert ENTRY.tells_of(other) is same


def test_two_trials_begun_by_hand_are_two_unless_they_were_one_boot() -> None:
    by_hand = replace(ENTRY, action="")
    assert by_hand.tells_of(replace(by_hand, when="later"))
    assert not by_hand.tells_of(replace(by_hand, boot="b2"))
    assert not replace(by_hand, boot="").tells_of(replace(by_hand, boot=""))
    assert not by_hand.tells_of(replace(by_hand, slot="A"))
