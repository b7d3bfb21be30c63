"""A maintenance window: hours that come again and again, as hawkBit describes them.

A schedule is a Quartz cron expression of six or seven fields (seconds first, the year last and
optional). Cronsim works it out; its weekdays count from 0, Quartz's from 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from flipside_server.duration import seconds
from flipside_server.errors import OperatorError

_OFFSET = re.compile(r"([+-])(0[0-9]|1[0-4]):([0-5][0-9])")
_DAILY = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_YEAR = re.compile(r"\*|20[0-9]{2}")
_WEEKDAY = re.compile(r"(?<![#/\d])[1-7](?!\d)")
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Window:
    """When an update may begin; without a schedule at any time."""

    schedule: str = ""
    """Quartz cron expression of its beginnings; empty for no window."""
    duration: str = ""
    """HH:MM:SS."""
    timezone: str = ""
    """Offset from UTC, such as +01:00."""


ALWAYS = Window()


@dataclass(frozen=True, slots=True)
class Turn:
    """How a window stands at one moment."""

    open: bool
    left: int | None
    """Milliseconds until it closes or opens; None if it never opens again."""


def checked_window(schedule: str, duration: str, zone: str) -> Window:
    """The window, if it can be worked out; a schedule of HH:MM means every day at that time."""
    if daily := _DAILY.fullmatch(schedule):
        schedule = f"0 {int(daily[2])} {int(daily[1])} ? * *"
    seconds(duration)
    if _OFFSET.fullmatch(zone) is None:
        raise OperatorError(
            f"the window's time zone {zone!r} cannot be used: give an offset such as +01:00"
        )
    window = Window(schedule, duration, zone)
    _nearest(window, datetime(2026, 1, 1, tzinfo=_zone(window)), reverse=False)
    return window


def turn(window: Window, now: int) -> Turn:
    """How the window stands now (milliseconds since 1970)."""
    moment = datetime.fromtimestamp(now // 1000, _zone(window))
    length = timedelta(seconds=seconds(window.duration))
    # One second on, so that a window that begins right now is among those that have begun.
    begun = _nearest(window, moment + _SECOND, reverse=True)
    if begun is not None and moment < begun + length:
        return Turn(open=True, left=_milliseconds(begun + length - moment))
    coming = _nearest(window, moment, reverse=False)
    return Turn(open=False, left=None if coming is None else _milliseconds(coming - moment))


def _nearest(window: Window, moment: datetime, *, reverse: bool) -> datetime | None:
    """The last beginning before the moment, or the first one after it."""
    from cronsim import CronSim, CronSimError  # few servers ever need it

    expression, year = _cron(window.schedule)
    if year:
        # Its seconds are sought in that year alone: from its edge, if the moment is outside.
        first = datetime(year, 1, 1, tzinfo=moment.tzinfo)
        last = datetime(year + 1, 1, 1, tzinfo=moment.tzinfo)
        moment = min(moment, last) if reverse else max(moment, first - _SECOND)
    try:
        found = next(CronSim(expression, moment, reverse=reverse), None)
    except (CronSimError, AssertionError) as error:  # it asserts that a step has a beginning
        raise _unusable(window.schedule) from error
    return found if found and year in (0, found.year) else None


def _cron(schedule: str) -> tuple[str, int]:
    """The schedule as cronsim takes it, and its year; 0 for every year."""
    *fields, year = schedule.split() if len(schedule.split()) == 7 else [*schedule.split(), "*"]
    if len(fields) != 6 or _YEAR.fullmatch(year) is None:
        raise _unusable(schedule)
    fields[5] = _WEEKDAY.sub(lambda found: str(int(found[0]) - 1), fields[5])
    return " ".join(fields).replace("?", "*"), 0 if year == "*" else int(year)


def _unusable(schedule: str) -> OperatorError:
    return OperatorError(
        f"the window's schedule {schedule!r} cannot be used: give HH:MM for every day, or a "
        "Quartz cron expression such as '0 0 3 ? * SUN'"
    )


def _zone(window: Window) -> timezone:
    hours, minutes = int(window.timezone[1:3]), int(window.timezone[4:6])
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if window.timezone[0] == "-" else offset)


def _milliseconds(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)
