"""Arithmetic on byte ranges, against sets of bytes, and the headers of HTTP."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flipside_agent.errors import ServerError
from flipside_agent.ranges import (
    Range,
    Ranges,
    add,
    content_range,
    content_range_header,
    missing,
    range_header,
    requested,
    total,
    widened,
)

SIZE = 60
RANGE = st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)).map(
    lambda pair: Range(min(pair), max(pair))
)


def _bytes(*ranges: Range) -> set[int]:
    return {at for one in ranges for at in range(one.start, one.stop)}


def _held(news: list[Range]) -> Ranges:
    held: Ranges = ()
    for new in news:
        held = add(held, new)
    return held


@settings(deadline=None)
@given(st.lists(RANGE, max_size=12))
def test_adding_is_the_union_in_its_shortest_form(news: list[Range]) -> None:
    held = _held(news)
    assert _bytes(*held) == _bytes(*news)
    assert all(one.length > 0 for one in held)
    assert all(left.stop < right.start for left, right in pairwise(held))
    assert total(held) == len(_bytes(*news))


@settings(deadline=None)
@given(st.lists(RANGE, max_size=12), RANGE)
def test_what_is_missing_is_the_difference(news: list[Range], wanted: Range) -> None:
    gaps = missing(_held(news), wanted)
    assert _bytes(*gaps) == _bytes(wanted) - _bytes(*news)
    assert list(gaps) == sorted(gaps)
    assert all(gap.length > 0 for gap in gaps)


@settings(deadline=None)
@given(RANGE, st.integers(1, 16))
def test_widening_covers_and_stays_within(wanted: Range, grain: int) -> None:
    wide = widened(wanted, grain, SIZE)
    assert wide.start <= wanted.start
    assert wide.stop >= wanted.stop
    assert wide.start % grain == 0
    assert wide.stop % grain == 0 or wide.stop == SIZE


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("bytes=0-3", Range(0, 4)),
        ("bytes=10-", Range(10, 100)),
        ("bytes=-8", Range(92, 100)),
        ("bytes=-800", Range(0, 100)),
        ("bytes=90-200", Range(90, 100)),
        (" bytes=99-99 ", Range(99, 100)),
    ],
)
def test_a_range_is_understood(header: str, wanted: Range) -> None:
    assert requested(header, 100) == wanted


@pytest.mark.parametrize(
    "header",
    [
        *("", "bytes=", "bytes=-", "bytes=-0", "bytes=100-", "bytes=100-200", "bytes=5-4"),
        *("bytes=0-1,3-4", "lines=0-3", "bytes=a-b", "bytes=1-2x", "bytes=" + "9" * 40 + "-"),
    ],
)
def test_what_cannot_be_given_is_refused(header: str) -> None:
    assert requested(header, 100) is None


@settings(deadline=None)
@given(RANGE.filter(lambda one: one.length > 0))
def test_headers_say_what_they_are_read_as(wanted: Range) -> None:
    assert requested(range_header(wanted), SIZE) == wanted
    assert content_range(content_range_header(wanted, SIZE)) == (wanted, SIZE)


@pytest.mark.parametrize(
    "header",
    ["", "bytes 0-3/*", "bytes */4", "bytes 5-3/10", "bytes 0-10/10", "bytes 0-3", "0-3/4"],
)
def test_a_senseless_content_range_is_the_servers_fault(header: str) -> None:
    with pytest.raises(ServerError, match="Content-Range"):
        content_range(header)
