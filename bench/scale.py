"""What a larger fleet costs server-lite: the same requests at 100 and at 10,000 targets, in turns.

    python -m bench.scale

Printed is the median of the rounds, milliseconds of the server's processor time a request, and how
many times more a request costs with the larger fleet.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from bench.lite import Lite
from bench.load import Bench, works
from bench.peer import MIB, Plan

FLEETS = (100, 10_000)
REQUESTS = 5_000
ROUNDS = 6
WORKS = 5
"""All but the downloads, which do not depend on the fleet."""


def main() -> None:
    """Measure and print a line for each kind of request."""
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / str(size) for size in FLEETS]
        peers = [_started(size, place) for size, place in zip(FLEETS, places, strict=True)]
        benches = [
            Bench(_plan(size), [peer], None) for size, peer in zip(FLEETS, peers, strict=True)
        ]
        for _ in range(ROUNDS):
            for size, bench in zip(FLEETS, benches, strict=True):
                for work in works(REQUESTS, _plan(size))[:WORKS]:
                    bench.measure(work)
        for peer in peers:
            peer.stop()
    _print(benches)


def _plan(size: int) -> Plan:
    return Plan(f"b{size}", size, 4 * MIB, 4 * MIB)


def _started(size: int, place: Path) -> Lite:
    place.mkdir()
    peer = Lite(_plan(size), place, None)
    peer.start()
    return peer


def _print(benches: list[Bench]) -> None:
    for name, work in benches[0].figures:
        few, many = (
            statistics.median(one.cpu for one in bench.figures[name, work]) for bench in benches
        )
        print(f"{work:26} {few:.3f} ms  {many:.3f} ms  {many / few:.2f} times")


if __name__ == "__main__":
    main()
