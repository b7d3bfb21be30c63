"""What a person and a program read of the history."""

from __future__ import annotations

import json

from flipside_agent.history import Entry
from flipside_agent.listing import NOTHING, as_json, as_table

LANDED = Entry("9", "2", "1", "B", "2026-11-23T12:00:00Z", "success", "slot B is healthy")
FAILED = Entry(
    action="10",
    version="2.1-rc1",
    replaced="2",
    slot="A",
    when="2026-11-24T12:00:00Z",
    verdict="failure",
    reason="exit status 1: no pulse",
    check="probe",
    journal=("probe: no pulse", "flipside: rolling back"),
    boot="b1",
)
BY_HAND = Entry("", "", "", "B", "2026-11-25T12:00:00Z", "failure", "slot B went down")


def test_a_person_reads_a_line_for_each_and_the_newest_last() -> None:
    assert as_table([LANDED, FAILED, BY_HAND], verbose=False).splitlines() == [
        "2026-11-23 12:00:00 UTC  action 9   1 -> 2        B  success  slot B is healthy",
        "2026-11-24 12:00:00 UTC  action 10  2 -> 2.1-rc1  A  failure  "
        "probe: exit status 1: no pulse",
        "2026-11-25 12:00:00 UTC  by hand    ? -> ?        B  failure  slot B went down",
    ]


def test_the_last_words_are_below_what_they_explain() -> None:
    assert as_table([FAILED, LANDED], verbose=True).splitlines()[1:3] == [
        "    probe: no pulse",
        "    flipside: rolling back",
    ]


def test_nothing_is_one_sentence_to_a_person_and_nothing_to_a_program() -> None:
    assert as_table([], verbose=True) == NOTHING
    assert json.loads(as_json([])) == []


def test_a_program_reads_an_array_an_entry_a_line_in_plain_ascii() -> None:
    odd = Entry("1", "ж", "", "B", "", "failure", 'a "reason" …')
    text = as_json([LANDED, odd])
    assert text.isascii()
    assert len(text.splitlines()) == 2
    assert json.loads(text) == [LANDED.document(), odd.document()]
    assert list(json.loads(text)[0]) == [
        "action",
        "version",
        "from",
        "slot",
        "when",
        "verdict",
        "reason",
        "check",
        "journal",
    ]
