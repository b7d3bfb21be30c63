"""Maintenance windows at every moment around them, and what they make of an offer."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from flipside_server.errors import OperatorError
from flipside_server.terms import Offer, Terms, Urgency, mistakes_skip, offer, verifies_boot
from flipside_server.window import Turn, checked_window, turn

NIGHTLY = checked_window("0 0 3 ? * * *", "01:00:00", "+00:00")
SHUT = "2026-11-23T12:00"


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-23T02:59:59", Turn(open=False, left=1000)),
        ("2026-11-23T03:00:00", Turn(open=True, left=3_600_000)),
        ("2026-11-23T03:59:59", Turn(open=True, left=1000)),
        ("2026-11-23T04:00:00", Turn(open=False, left=23 * 3_600_000)),
    ],
)
def test_it_opens_and_closes_to_the_second(moment: str, expected: Turn) -> None:
    assert turn(NIGHTLY, at(moment)) == expected


def test_the_zone_counts() -> None:
    berlin = checked_window("0 0 3 ? * * *", "01:00:00", "+01:00")
    assert turn(berlin, at("2026-11-23T02:30")).open
    assert not turn(berlin, at("2026-11-23T03:30")).open
    newfoundland = checked_window("03:00", "01:00:00", "-03:30")
    assert turn(newfoundland, at("2026-11-23T06:30")).open


def test_a_window_longer_than_a_day_never_closes() -> None:
    assert turn(checked_window("03:00", "36:00:00", "+00:00"), at("2026-11-23T02:00")).open


@pytest.mark.parametrize(
    ("schedule", "opened"),
    [
        ("0 0 3 ? * SUN", "2026-11-29"),
        ("0 0 3 ? * 1", "2026-11-29"),
        ("0 0 3 ? * 2-6", "2026-11-23"),
        ("0 0 3 ? * MON-FRI", "2026-11-23"),
        ("0 0 3 ? * 7", "2026-11-28"),
        ("0 0 3 ? * 2#1", "2026-12-07"),
        ("0 0 3 ? * 6L", "2026-11-27"),
        ("0 0 3 1 * ?", "2026-12-01"),
        ("0 0 3 L * ?", "2026-11-30"),
        ("0 0 3 24 12 ? 2026", "2026-12-24"),
        ("0 0 3 * * ? *", "2026-11-23"),
    ],
)
def test_quartz_schedules(schedule: str, opened: str) -> None:
    """The first day from Sunday, 22 November 2026, afternoon, on which it opens."""
    window = checked_window(schedule, "01:00:00", "+00:00")
    seen = turn(window, at("2026-11-22T15:00"))
    assert seen == Turn(open=False, left=at(f"{opened}T03:00") - at("2026-11-22T15:00"))
    assert turn(window, at(f"{opened}T03:59")).open


def test_a_window_of_one_year_opens_in_that_year_alone() -> None:
    window = checked_window("0 0 3 24 12 ? 2027", "01:00:00", "+00:00")
    assert not turn(window, at("2026-12-24T03:30")).open
    assert turn(window, at("2027-12-24T03:30")).open
    assert turn(window, at("2028-12-24T03:30")) == Turn(open=False, left=None)
    first = checked_window("0 0 0 1 1 ? 2027", "01:00:00", "+00:00")
    assert turn(first, at("2026-06-01T00:00")).left == at("2027-01-01") - at("2026-06-01")
    assert turn(first, at("2027-01-01T00:00")).open


@pytest.mark.parametrize(
    "schedule",
    ["", "x", "25:00", "0 0 3", "0 0 3 ? * * * *", "0 0 3 ? * 8", "0 61 3 ? * *", "0 0 3 ? * * x"],
)
def test_schedules_that_cannot_be_used(schedule: str) -> None:
    with pytest.raises(OperatorError, match="schedule"):
        checked_window(schedule, "01:00:00", "+00:00")


@given(some.text("0123456789*?/-,#LW ", max_size=24))
def test_any_schedule_is_refused_or_worked_out(text: str) -> None:
    for schedule in [text, f"0 0 3 ? * {text}", f"0 0 3 {text} * ?"]:
        with suppress(OperatorError):
            turn(checked_window(schedule, "01:00:00", "+00:00"), at(SHUT))


@pytest.mark.parametrize(
    ("duration", "zone"),
    [
        ("", "+00:00"),
        ("00:00:00", "+00:00"),
        ("1h", "+00:00"),
        ("01:00:00", "CET"),
        ("01:00:00", ""),
    ],
)
def test_durations_and_zones_that_cannot_be_used(duration: str, zone: str) -> None:
    with pytest.raises(OperatorError, match="cannot be used: give"):
        checked_window("03:00", duration, zone)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (Terms(), Offer("forced", "forced")),
        (Terms(Urgency.SOFT), Offer("attempt", "attempt")),
        (Terms(Urgency.DOWNLOAD_ONLY), Offer("forced", "skip")),
        (Terms(Urgency.DOWNLOAD_ONLY, window=NIGHTLY), Offer("forced", "skip")),
        (Terms(Urgency.TIMEFORCED, at(SHUT) + 1), Offer("attempt", "attempt")),
        (Terms(Urgency.TIMEFORCED, at(SHUT)), Offer("forced", "forced")),
        (Terms(window=NIGHTLY), Offer("forced", "skip", "unavailable", 15 * 3_600_000)),
        (
            Terms(Urgency.SOFT, window=NIGHTLY),
            Offer("attempt", "skip", "unavailable", 15 * 3_600_000),
        ),
    ],
)
def test_what_a_device_is_offered_at_noon(terms: Terms, expected: Offer) -> None:
    assert offer(terms, at(SHUT)) == expected


def test_an_open_window_says_so() -> None:
    night = at("2026-11-23T03:30")
    assert offer(Terms(window=NIGHTLY), night) == Offer("forced", "forced", "available")
    soft = Terms(Urgency.SOFT, window=NIGHTLY)
    assert offer(soft, night) == Offer("attempt", "attempt", "available")


def test_what_is_known_of_clients() -> None:
    assert verifies_boot("flipside-agent")
    assert not verifies_boot("rauc-hawkbit-c-agent/1.0")
    assert mistakes_skip("libcurl-agent/1.0", [])
    assert mistakes_skip("", ["a.swu"])
    assert not mistakes_skip("rauc-hawkbit-c-agent/1.0", ["a.raucb"])
