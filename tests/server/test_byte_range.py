"""Ranges against what slicing says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from flipside_server.byte_range import Span, applies, matches, wanted
from flipside_server.errors import RangeError

CONTENT = bytes(range(100))


def served(header: str) -> bytes:
    span = wanted(header, len(CONTENT))
    assert span is not None
    return CONTENT[span.start : span.stop]


@given(some.integers(0, 99), some.integers(0, 300))
def test_first_to_last(first: int, more: int) -> None:
    assert served(f"bytes={first}-{first + more}") == CONTENT[first : first + more + 1]


@given(some.integers(0, 99))
def test_open_end(first: int) -> None:
    assert served(f"bytes={first}-") == CONTENT[first:]


@given(some.integers(1, 300))
def test_suffix(length: int) -> None:
    assert served(f"bytes=-{length}") == CONTENT[-length:]


@pytest.mark.parametrize("header", ["bytes=0-9,20-29", "bytes=0-9, -5", "bytes=0-0,1-1,2-2"])
def test_several_ranges_get_the_whole_file(header: str) -> None:
    assert wanted(header, 100) is None


@pytest.mark.parametrize(
    "header",
    [
        "bytes=100-",
        "bytes=99999-",
        "bytes=9-8",
        "bytes=-0",
        "bytes=-",
        "bytes=abc",
        "items=0-1",
        "bytes=" + "9" * 400 + "-",
        "",
    ],
)
def test_what_cannot_be_served(header: str) -> None:
    with pytest.raises(RangeError):
        wanted(header, 100)


@given(some.text(max_size=30))
def test_any_header_gives_a_span_within_the_file_or_an_error(text: str) -> None:
    try:
        span = wanted(f"bytes={text}", 100)
    except RangeError:
        return
    assert span is None or 0 <= span.start < span.stop <= 100


def test_no_header_wants_everything() -> None:
    assert wanted(None, 100) is None
    assert Span(3, 10).length == 7


def test_if_range_counts_by_etag_or_by_date() -> None:
    assert applies(None, '"e"', "date")
    assert applies('"e"', '"e"', "date")
    assert applies("date", '"e"', "date")
    assert not applies('"stale"', '"e"', "date")
    assert not applies('W/"e"', '"e"', "date")


def test_if_match_takes_lists_and_stars() -> None:
    for header in [None, "*", '"e"', '"a", "e"']:
        assert matches(header, '"e"')
    assert not matches('"a"', '"e"')
