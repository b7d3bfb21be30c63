"""What a run is measured by: how long answers took, counted in steps of two per cent."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

_FINEST = 1e-5
"""Seconds; what is faster counts as this."""
_STEP = math.log(1.02)


@dataclass(slots=True)
class Durations:
    """Many durations in little memory; quantiles are right to two per cent."""

    count: int = 0
    total: float = 0.0
    longest: float = 0.0
    _steps: Counter[int] = field(default_factory=Counter)

    def add(self, seconds: float) -> None:
        """Count one."""
        self.count += 1
        self.total += seconds
        self.longest = max(self.longest, seconds)
        self._steps[int(math.log(max(seconds, _FINEST) / _FINEST) / _STEP)] += 1

    def quantile(self, share: float) -> float:
        """Seconds that this share of them did not exceed; 0 if there are none."""
        wanted = share * self.count
        seen = 0
        for step in sorted(self._steps):
            seen += self._steps[step]
            if seen >= wanted:
                return min(self.longest, _FINEST * math.exp((step + 1) * _STEP))
        return 0.0

    def document(self, seconds: float) -> dict[str, float]:
        """The figures of a run that took so long, for programs: milliseconds, and per second."""
        return {
            "count": self.count,
            "per_second": round(self.count / seconds, 2) if seconds else 0.0,
            "p50_ms": round(1e3 * self.quantile(0.5), 3),
            "p99_ms": round(1e3 * self.quantile(0.99), 3),
            "max_ms": round(1e3 * self.longest, 3),
        }
