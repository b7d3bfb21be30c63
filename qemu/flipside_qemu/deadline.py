"""A point in time by which something must have happened."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """A timeout that was turned into a point in time once, at the door.

    Steps that share a deadline share what is left of it, so three waits of "at most a minute"
    cannot become three minutes.
    """

    seconds: float
    """How long it was when it was made; for messages only."""
    end: float
    """On the clock of :func:`time.monotonic`."""

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline that many seconds from now."""
        return cls(seconds, time.monotonic() + seconds)

    @classmethod
    def of(cls, within: Within, patience: float = 1.0) -> Deadline:
        """A deadline as it is, or the one so many seconds (times the patience) from now."""
        return within if isinstance(within, Deadline) else cls.after(within * patience)

    def left(self) -> float:
        """Seconds that are left, never less than none."""
        return max(0.0, self.end - time.monotonic())

    def passed(self) -> bool:
        """Whether it is too late."""
        return self.left() == 0.0


Within = float | Deadline
"""Seconds from now, or a deadline that several steps share."""
