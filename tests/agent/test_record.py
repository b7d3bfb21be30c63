"""What the journal says, and what agents of different ages make of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from flipside_agent.diagram import BUNDLE, FAILURE, FROM_BASE, SEEN, STATES, UPDATE
from flipside_agent.machine import step
from flipside_agent.page import ROOM
from flipside_agent.record import FORMAT, Record, decode, encode, format_for
from flipside_agent.states import (
    Abandoning,
    Checking,
    Confirming,
    Idle,
    Installing,
    Preparing,
    Reporting,
    RollingBack,
    State,
    Verifying,
    Waiting,
)
from flipside_agent.update import Finished, Outcome, Verdict

FURTHER: tuple[State, ...] = (
    Idle(Finished(UPDATE, FAILURE)),
    Checking(Waiting(UPDATE.spend(3), SEEN), spent=2),
    Confirming(Idle(Finished(UPDATE, FAILURE)), spent=40),
)


@pytest.mark.parametrize("state", [*STATES, *FURTHER], ids=lambda state: type(state).__name__)
def test_every_state_comes_back(state: State) -> None:
    record = Record(state, boot="1f0c")
    assert decode(encode(record), FORMAT) == record


def test_the_words_on_disk_are_for_ever() -> None:
    assert json.loads(encode(Record(Installing(UPDATE, SEEN), boot="1f0c"))) == {
        "boot": "1f0c",
        "state": "installing",
        "update": {
            "action": "7",
            "bundle": {
                "url": "https://server/bundle",
                "size": 1000,
                "version": "2",
                "sha256": "",
                "manifest_hash": "5" * 64,
            },
            "base": "A",
            "target": "B",
            "replaces": "",
            "spent": 0,
        },
        "inspection": {
            "manifest_hash": "5" * 64,
            "version": "2",
            "compatible": "board",
            "size": 1000,
            "tail_sha256": "f" * 64,
        },
    }
    names = [json.loads(encode(Record(state, boot="")))["state"] for state in STATES]
    assert sorted(set(names)) == [
        "abandoning",
        "activating",
        "checking",
        "committing",
        "confirming",
        "doubting",
        "idle",
        "installing",
        "preparing",
        "rebooting",
        "reporting",
        "returning",
        "rolling back",
        "verifying",
        "waiting",
    ]


hostile = some.text(max_size=3000)
"""Also half surrogate pairs, zero bytes and quotes, as a server may send them."""
URL = "https://server/"


@given(reason=hostile, check=hostile, version=hostile, compatible=hostile)
def test_whatever_people_are_told_fits_the_page(
    reason: str, check: str, version: str, compatible: str
) -> None:
    bundle = replace(BUNDLE, url=URL + "x" * (2048 - len(URL)), version=version, sha256="a" * 64)
    assert not bundle.flaw()
    update = replace(UPDATE, bundle=bundle, action="9" * 19, replaces=compatible)
    outcome = Outcome(Verdict.FAILURE, reason, check)
    seen = replace(SEEN, version=version, compatible=compatible)
    states: tuple[State, ...] = (
        Checking(Reporting(update, outcome)),
        Confirming(Installing(update, seen)),
        Idle(Finished(update, outcome)),
    )
    for state in states:
        payload = encode(Record(state, boot="1f0c"))
        assert len(payload) <= ROOM
        back = decode(payload, FORMAT)
        assert back is not None
        assert type(back.state) is type(state)


def test_a_long_reason_is_shortened_and_the_rest_kept() -> None:
    state = Reporting(UPDATE, Outcome(Verdict.FAILURE, "x" * 9000))
    back = decode(encode(Record(state, boot="")), FORMAT)
    assert back is not None
    assert back.state == Reporting(UPDATE, Outcome(Verdict.FAILURE, "x" * 400))


def test_what_the_update_needs_is_never_shortened() -> None:
    state = Preparing(replace(UPDATE, bundle=replace(BUNDLE, url=URL + "x" * 5000)))
    with pytest.raises(ValueError, match="expected at most"):
        encode(Record(state, boot=""))


def test_members_of_a_newer_agent_are_ignored() -> None:
    document = json.loads(encode(Record(Verifying(UPDATE), boot="1f0c")))
    document |= {"agent": "9", "window": {"opens": 3}}
    document["update"]["consent"] = True
    document["update"]["bundle"]["delta"] = ["x"]
    assert decode(json.dumps(document).encode(), 2) == Record(Verifying(UPDATE), "1f0c", 2)


def test_an_agent_before_the_history_did_not_say_what_ran() -> None:
    state = Verifying(replace(UPDATE, replaces="1"))
    assert decode(encode(Record(state, boot="")), FORMAT) == Record(state, boot="")
    document = json.loads(encode(Record(state, boot="")))
    del document["update"]["replaces"]
    assert decode(json.dumps(document).encode(), FORMAT) == Record(Verifying(UPDATE), boot="")


def later(name: str, **members: object) -> Record | None:
    """A record of a newer agent, with a state of its own."""
    document = json.loads(encode(Record(Verifying(UPDATE), boot="1f0c")))
    return decode(json.dumps(document | {"state": name} | members).encode(), 2)


def test_a_newer_agents_trial_that_failed_is_told_by_the_older_one() -> None:
    found = later("soaking")
    assert found is not None
    after = step(found.state, FROM_BASE)
    assert isinstance(after, Abandoning)
    assert after.outcome == Outcome(Verdict.FAILURE, "slot B was left while its agent was soaking")


def test_the_reason_that_a_newer_agent_recorded_is_kept() -> None:
    outcome = {"verdict": "failure", "reason": "the probe failed", "check": "probe"}
    found = later("cooling down", outcome=outcome)
    assert found is not None
    assert found.state == RollingBack(UPDATE, FAILURE)


def test_a_success_of_a_slot_that_was_left_is_not_believed() -> None:
    outcome = {"verdict": "success", "reason": "fine", "check": ""}
    found = later("celebrating", outcome=outcome)
    assert found is not None
    assert isinstance(found.state, RollingBack)
    assert found.state.outcome.verdict is Verdict.FAILURE


def test_an_unknown_state_inside_a_known_one_counts() -> None:
    inner = json.loads(encode(Record(Verifying(UPDATE), boot="")))
    found = later("checking", then=inner | {"state": "soaking"}, spent=0)
    assert found is not None
    assert isinstance(found.state, RollingBack)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"[]",
        b'"idle"',
        b"{}",
        b'{"state":"idle"}',
        b'{"state":"idle","boot":7}',
        b'{"state":"idle","boot":"","last":null}',
        b'{"state":"verifying","boot":""}',
        b'{"state":"verifying","boot":"","update":[]}',
        b'{"state":"verifying","boot":"","update":{"action":"7"}}',
        b'{"state":"unheard of","boot":""}',
        b'{"state":"checking","boot":"","then":{"state":"idle"}}',
    ],
)
def test_what_tells_no_story_is_none(payload: bytes) -> None:
    assert decode(payload, FORMAT) is None


def test_a_verdict_that_does_not_exist_is_no_story() -> None:
    document = json.loads(encode(Record(Reporting(UPDATE, FAILURE), boot="")))
    document["outcome"]["verdict"] = "fine"
    assert decode(json.dumps(document).encode(), FORMAT) is None


def test_an_update_keeps_the_format_that_it_was_begun_with() -> None:
    assert format_for(Verifying(UPDATE), begun_with=FORMAT - 1) == FORMAT - 1
    assert format_for(Idle(), begun_with=FORMAT - 1) == FORMAT
    # An older agent cannot write what a newer one began.
    assert format_for(Verifying(UPDATE), begun_with=FORMAT + 1) == FORMAT
