"""Ranges against what slicing says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from flipside_server.byte_range import Span, applies, matches, wanted
from flipside_server.errors import RangeError

CONTENT = bytes(range(100))


def served(header: str) -> bytes:
    (span,) = wanted(header, len(CONTENT))
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


@pytest.mark.parametrize(
    ("header", "spans"),
    [
        ("bytes=0-9,20-29", [(0, 10), (20, 30)]),
        ("bytes=50-59, -5", [(50, 60), (95, 100)]),
        ("bytes=2-2,1-1,0-0", [(2, 3), (1, 2), (0, 1)]),
        ("bytes=0-9,200-300", [(0, 10)]),
    ],
)
def test_several_ranges_in_the_order_that_was_asked(
    header: str, spans: list[tuple[int, int]]
) -> None:
    assert [(span.start, span.stop) for span in wanted(header, 100)] == spans


@pytest.mark.parametrize(
    "header", ["bytes=0-,0-", "bytes=0-89,5-20", "bytes=" + "0-0," * 64 + "1-1"]
)
def test_many_or_more_than_the_file_get_the_whole(header: str) -> None:
    assert wanted(header, 100) == ()


@pytest.mark.parametrize(
    "header",
    [
        "bytes=100-",
        "bytes=99999-",
        "bytes=9-8",
        "bytes=-0",
        "bytes=-",
        "bytes=abc",
        "bytes=0-9,abc",
        "bytes=200-300,400-",
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
        spans = wanted(f"bytes={text}", 100)
    except RangeError:
        return
    assert all(0 <= span.start < span.stop <= 100 for span in spans)


def test_no_header_wants_everything() -> None:
    assert wanted(None, 100) == ()
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
