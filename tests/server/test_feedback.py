"""The dialects of feedback, and what is no feedback at all."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from flipside_server.errors import MalformedError
from flipside_server.feedback import (
    LONGEST_MESSAGE,
    MOST_MESSAGES,
    Execution,
    Feedback,
    Finished,
    read,
)

JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=4)
    | some.dictionaries(
        some.sampled_from(["status", "result", "execution", "finished", "details", "x"]), inner
    ),
    max_leaves=12,
)


def body(details: Any = None, **more: Any) -> dict[str, Any]:
    return {
        **more,
        "status": {
            "execution": "proceeding",
            "result": {"finished": "none", "progress": {"cnt": 0, "of": 0}},
            "details": details,
        },
    }


@pytest.mark.parametrize(
    "document",
    [
        body([], id="1", time="20261123T081755"),
        body([], id=4, time="20261123T081755"),
        body([], timestamp=1627997501890, strange={"a": 1}),
        body(None),
        {"status": {"execution": "proceeding", "code": 200, "result": {"finished": "none"}}},
    ],
    ids=["rauc-hawkbit-updater", "SWUpdate", "newer", "null details", "no details"],
)
def test_every_dialect_says_the_same(document: Any) -> None:
    assert read(document) == Feedback(Execution.PROCEEDING, Finished.NONE, ())


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "closed",
        {},
        {"status": None},
        {"status": {"execution": "proceeding"}},
        {"status": {"execution": "PROCEEDING", "result": {"finished": "NONE"}}},
        {"status": {"execution": "dancing", "result": {"finished": "none"}}},
        {"status": {"execution": ["closed"], "result": {"finished": "none"}}},
        {"status": {"execution": "closed", "result": "success"}},
        body("one string"),
        body([{"text": "x"}]),
        body([None]),
    ],
)
def test_what_is_no_feedback_is_refused(document: Any) -> None:
    with pytest.raises(MalformedError):
        read(document)


def test_48_lines_and_8_kilobytes_are_all_kept() -> None:
    lines = [f"{number:03d} " + "x" * 160 for number in range(48)]
    assert read(body(lines)).messages == tuple(lines)


def test_a_long_line_is_split_and_nothing_of_it_lost() -> None:
    text = "".join(chr(ord("a") + number % 26) for number in range(3000))
    messages = read(body([text])).messages
    assert "".join(messages) == text
    assert max(len(message) for message in messages) <= LONGEST_MESSAGE


def test_of_a_flood_the_end_is_kept_and_the_loss_told() -> None:
    messages = read(body([f"l{number}" for number in range(60)])).messages
    assert len(messages) == MOST_MESSAGES
    assert messages[0] == "(11 earlier messages were dropped)"
    assert messages[1:] == tuple(f"l{number}" for number in range(11, 60))


@given(JSON)
def test_nothing_but_feedback_or_a_refusal_comes_of_any_json(document: Any) -> None:
    with suppress(MalformedError):
        assert isinstance(read(document), Feedback)
