"""Figures for Prometheus: requests by kind, how long they took, what there is.

Labels are bounded: kinds of requests, classes of status, states; never what a client chose.
Counting costs a request two look-ups; prometheus_client is loaded when somebody first asks.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds; upper bounds of the histogram's buckets."""
_RESOURCES = {
    "configData": "attributes",
    "deploymentBase": "deployment",
    "installedBase": "installed",
    "cancelAction": "cancel",
    "confirmationBase": "confirmation",
    "softwaremodules": "download",
}


@dataclass(slots=True)
class Timing:
    """How long requests of one kind took."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0


class Tally:
    """Counts answers. Filled by one thread, read by others."""

    def __init__(self) -> None:
        self.answers: Counter[tuple[str, str]] = Counter()
        """By kind of request and class of status; who may not come in is a class of its own."""
        self.timings: dict[str, Timing] = {}
        self._lock = threading.Lock()

    def observe(self, method: str, path: str, status: str, seconds: float) -> None:
        """A request was answered; the time is until the answer's first byte."""
        kind = kind_of(method, path)
        with self._lock:
            self.answers[kind, _class(status)] += 1
            timing = self.timings.get(kind)
            if timing is None:
                timing = self.timings[kind] = Timing()
            timing.buckets[bisect_left(BOUNDS, seconds)] += 1
            timing.seconds += seconds

    def copy(self) -> tuple[dict[tuple[str, str], int], dict[str, Timing]]:
        """What has been counted so far."""
        with self._lock:
            timings = {
                kind: Timing(list(one.buckets), one.seconds) for kind, one in self.timings.items()
            }
            return dict(self.answers), timings


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What there is at the moment."""

    gauges: Mapping[str, float]
    """Values by name, without the prefix."""
    actions: Mapping[str, int]
    """How many actions are in each state."""


def kind_of(method: str, path: str) -> str:
    """What a request is about, in one of a dozen words."""
    # "", tenant, "controller", "v1", controller id, resource, the rest
    parts = path.split("/", 6)
    if len(parts) < 5 or parts[2] != "controller":
        return "other"
    if len(parts) == 5:
        return "poll"
    if method == "POST" and path.endswith("/feedback"):
        return "feedback"
    return _RESOURCES.get(parts[5], "other")


def exposition(tally: Tally, snapshot: Snapshot) -> bytes:
    """Everything in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Collector([*_counted(tally), *_seen(snapshot)]))
    return generate_latest(registry)


class _Collector:
    """Gives a registry what was counted elsewhere."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


def _counted(tally: Tally) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    answers, timings = tally.copy()
    requests = CounterMetricFamily(
        "flipside_requests", "Requests answered.", labels=("kind", "status")
    )
    for (kind, status), count in sorted(answers.items()):
        requests.add_metric((kind, status), count)
    yield requests
    seconds = HistogramMetricFamily(
        "flipside_request_seconds", "Time until an answer began.", labels=("kind",)
    )
    for kind, timing in sorted(timings.items()):
        seconds.add_metric((kind,), _cumulative(timing.buckets), timing.seconds)
    yield seconds


def _cumulative(buckets: list[int]) -> list[tuple[str, float]]:
    bounds = [*(str(bound) for bound in BOUNDS), "+Inf"]
    return [(bound, sum(buckets[: at + 1])) for at, bound in enumerate(bounds)]


def _seen(snapshot: Snapshot) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    for name, value in snapshot.gauges.items():
        yield GaugeMetricFamily(f"flipside_{name}", _HELP[name], value=value)
    actions = GaugeMetricFamily("flipside_actions", "Actions by state.", labels=("state",))
    for state, count in sorted(snapshot.actions.items()):
        actions.add_metric((state,), count)
    yield actions


_HELP = {
    "targets": "Devices that the server knows.",
    "connections": "Connections of clients.",
    "disk_free_bytes": "Bytes that the server may still write.",
    "ready": "1 if the server can take a device's word.",
}


def _class(status: str) -> str:
    return "401" if status.startswith("401") else f"{status[:1]}xx"
