"""Maintenance windows by when they open, as the words of ``flipside-server assign``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

LENGTH = "01:00:00"


def window(opens_in: timedelta) -> tuple[str, ...]:
    """A window of an hour that opens once a day, the next time then."""
    start = datetime.now(UTC) + opens_in
    return ("--window", f"{start:%-S %-M %-H} ? * * {LENGTH} +00:00")


def closed() -> tuple[str, ...]:
    """A window that opens no sooner than any test ends."""
    return window(timedelta(hours=6))


def opened() -> tuple[str, ...]:
    """A window that has been open for a while."""
    return window(timedelta(minutes=-10))
