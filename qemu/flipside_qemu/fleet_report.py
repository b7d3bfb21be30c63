"""The figures of a run, for programs and for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from flipside_qemu.fleet_tally import Tally

SHOWN = 10
"""Sentences that people are shown of a long list; programs get all."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a run."""

    devices: int
    seed: int
    seconds: float
    cpu: float
    """Seconds of processor time that the fleet itself took."""
    tally: Tally
    flaws: Sequence[str]
    """What went otherwise than it had to, one sentence each."""

    def document(self) -> dict[str, Any]:
        """All of it, as JSON."""
        tally = self.tally
        return {
            "devices": self.devices,
            "seed": self.seed,
            "seconds": round(self.seconds, 3),
            "cpu_seconds": round(self.cpu, 3),
            "requests": {
                str(kind): durations.document(self.seconds)
                for kind, durations in sorted(tally.requests.items())
            },
            "fetched_bytes": tally.fetched,
            "states": {place: count for place, count in sorted(tally.states.items()) if count},
            "updates": tally.verdicts(),
            "images": tally.images(),
            "errors": dict(tally.errors.most_common()),
            "contradictions": list(self.flaws),
        }

    def lines(self) -> list[str]:
        """All of it, as plain text."""
        document = self.document()
        return [
            f"{self.devices} devices, {self.seconds:.1f} s, {self.cpu:.1f} s of CPU here",
            *(
                f"  {kind:12}{one['count']:>9} {one['per_second']:>9.1f}/s"
                f"   p50 {one['p50_ms']:>8.1f} ms   p99 {one['p99_ms']:>8.1f} ms"
                for kind, one in document["requests"].items()
            ),
            *self._fetched(),
            *self._lives(document),
            *(f"error, {count} times: {said}" for said, count in _few(document["errors"].items())),
            *(f"not as it had to be: {flaw}" for flaw in _few(self.flaws)),
            self._verdict(),
        ]

    def _fetched(self) -> list[str]:
        fetched = self.tally.fetched
        if not fetched:
            return []
        return [f"  fetched     {fetched / 1e6:>9.1f} MB {fetched / 1e6 / self.seconds:>6.1f} MB/s"]

    def _lives(self, document: dict[str, Any]) -> list[str]:
        """What became of devices; nothing where there were only requests."""
        if not self.tally.places:
            return []
        kinds = ("states", "updates", "images")
        return [f"{kind + ':':9}{_listed(document[kind])}" for kind in kinds]

    def _verdict(self) -> str:
        if not self.flaws:
            return "everything ended as it had to"
        return f"{len(self.flaws)} things did not end as they had to"


def _few(sentences: Iterable[T]) -> list[T]:
    return list(sentences)[:SHOWN]


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
