"""Log lines: one for each event, for programs to read, and nobody else's text in between."""

from __future__ import annotations

import io
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as some

from flipside_server.logs import Lines, Shape

HOSTILE = 'x\nlevel=info message="all is well"\x1b[2J'


def line(message: str, shape: Shape = Shape.TEXT, *, journal: bool = False, level: int = 20) -> str:
    record = logging.LogRecord("flipside_server.visit", level, "", 0, message, None, None)
    record.created = 1_000_000_000.5
    return Lines(shape, journal=journal).format(record)


def test_a_sentence() -> None:
    head = "time=2001-09-09T01:46:40.500Z level=info at=visit"
    assert line("stopping on SIGTERM") == f'{head} message="stopping on SIGTERM"'


def test_facts_are_told_one_by_one() -> None:
    assert line("target=pi-1 action=3").endswith("at=visit target=pi-1 action=3")
    assert line("download target=pi-1").endswith("event=download target=pi-1")


def test_json() -> None:
    found = json.loads(line("target=pi-1 action=3", Shape.JSON))
    assert found == {
        "time": "2001-09-09T01:46:40.500Z",
        "level": "info",
        "at": "visit",
        "target": "pi-1",
        "action": "3",
    }


@pytest.mark.parametrize(("level", "priority"), [(10, 7), (20, 6), (30, 4), (40, 3), (50, 2)])
def test_the_journal_wants_the_priority_and_has_a_clock(level: int, priority: int) -> None:
    assert line("a", journal=True, level=level).startswith(f"<{priority}>level=")


def test_a_trace_is_one_line() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Lines(Shape.TEXT, journal=False))  # type: ignore[arg-type]  # by shape
    logger = logging.Logger("flipside_server.x")
    logger.addHandler(handler)
    try:
        raise ZeroDivisionError(HOSTILE)
    except ZeroDivisionError:
        logger.exception("this is a bug")
    assert stream.getvalue().count("\n") == 1
    assert "ZeroDivisionError" in stream.getvalue()


@pytest.mark.parametrize("shape", Shape)
@given(message=some.text() | some.just(HOSTILE))
def test_whatever_a_device_says_is_one_line_without_control_characters(
    shape: Shape, message: str
) -> None:
    assert line(message, shape).isprintable()
