"""Back-off: how long to wait before trying again."""

from __future__ import annotations

from collections.abc import Callable, Iterator


def delays(
    first: float, longest: float, random: Callable[[], float], factor: float = 2.0
) -> Iterator[float]:
    """Yield delays in seconds for ever: growing, never above ``longest``, and scattered.

    ``random`` returns a number from 0 up to 1. Each delay lies in the upper half of its step, so
    that a fleet that lost its server at one moment does not come back at one moment.
    """
    step = min(first, longest)
    while True:
        yield step * (0.5 + random() / 2)
        step = min(step * factor, longest)


def at_least(delay: float, asked: float, longest: float) -> float:
    """Wait no shorter than the server asked for, but no longer than we are willing to."""
    return min(max(delay, asked), longest)
