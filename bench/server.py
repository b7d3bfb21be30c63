"""What a request costs server-lite, beside goosebit and hawkBit: side by side, in turns.

    python -m bench.server [--full] [--write FILE]

The load is the fixed requests of ``flipside-fleet``: the same program for every server. Measured
is the processor time of the *server's* processes, from /proc, so that a busy machine changes it
little; p50 and p99 are wall times and mean something on a quiet machine only. Before the rounds
that count, each kind of request is sent uncounted until a server gets no faster at it, for the
sake of hawkBit's compiler. The whole (``--full``) takes some 40 minutes of two cores.

goosebit is fetched from PyPI into an environment of its own in the cache. A hawkBit that runs
already on this machine takes part, and its start is measured with one more, if these are set:

    FLIPSIDE_HAWKBIT=http://admin:admin@127.0.0.1:18080
    FLIPSIDE_HAWKBIT_START="java -Xmx1g -jar hawkbit-update-server-1.0.4.jar"
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import report
from bench.goosebit import GOOSEBIT, Goosebit
from bench.hawkbit import Hawkbit, cold_start
from bench.lite import Lite
from bench.load import Bench, registration, works
from bench.peer import BUSY, MIB, Peer, Plan
from bench.process import resident

from flipside_qemu.fleet_wire import trusting

HAWKBIT = os.environ.get("FLIPSIDE_HAWKBIT", "")


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    targets: tuple[int, ...]
    secured: tuple[int, ...]
    """Targets of the tables with TLS."""
    requests: int
    rounds: int
    warming: int
    """How often each kind of request is sent at most before it counts."""
    large: int
    """Bytes of the larger file."""


SMOKE = Extent((100,), (100,), 160, 1, 1, 16 * MIB)
FULL = Extent((100, 1_000, 10_000), (1_000,), 1_500, 3, 5, 200 * MIB)


class Paper:
    """Where the figures go: to the terminal at once, and into a file."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def write(self, text: str) -> None:
        """Add this."""
        print(text, flush=True)
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as stream:
                stream.write(text + "\n")


def main() -> None:
    """Measure and write tables in Markdown."""
    options = _options()
    extent = FULL if options.full else SMOKE
    paper = Paper(options.write)
    peers = f"server-lite from this working copy; {GOOSEBIT}; " + (
        "a hawkBit that runs." if HAWKBIT else "no hawkBit, for FLIPSIDE_HAWKBIT is not set."
    )
    paper.write(report.heading(shlex.join(["python", "-m", "bench.server", *sys.argv[1:]]), peers))
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIRECTORY")) as folder:
        for tls in (False, True):
            for size in extent.secured if tls else extent.targets:
                place = Path(folder) / f"{'tls' if tls else 'plain'}-{size}"
                place.mkdir()
                _one_size(_plan(size, extent), place, extent, paper, tls=tls)
        _hawkbit_start(Path(folder), paper)


def _plan(size: int, extent: Extent) -> Plan:
    # A hawkBit keeps what earlier runs filled it with.
    return Plan(f"b{int(time.time())}", max(size, BUSY + 2), 4 * MIB, extent.large)


def _one_size(plan: Plan, folder: Path, extent: Extent, paper: Paper, *, tls: bool) -> None:
    ca = _certificate(folder) if tls else None
    with ExitStack() as stack:
        running = [stack.enter_context(_running(peer)) for peer in _peers(plan, folder, ca)]
        peers = [peer for peer, _ in running]
        idle = [resident(peer.pid) for peer in peers]
        bench = Bench(plan, peers, trusting(ca) if ca is not None else None)
        _all_rounds(bench, extent, plan)
        title = f"{plan.targets} targets" + (" over TLS" if tls else "")
        paper.write(report.table(title, bench.figures, [peer.name for peer in peers]))
        for (peer, started), before in zip(running, idle, strict=True):
            start = f"first answer after {started:.2f} s, " if started else ""
            paper.write(
                f"* {peer.name}: {start}resident {before / MIB:.0f} MiB before, "
                f"{resident(peer.pid) / MIB:.0f} MiB after the load"
            )
        paper.write("")


def _all_rounds(bench: Bench, extent: Extent, plan: Plan) -> None:
    newcomers = registration(extent.requests)
    for work in (*works(extent.requests, plan), newcomers):
        _tell(f"{plan.targets} targets, warming up: {work.name}")
        bench.warm(work, extent.warming)
    for number in range(extent.rounds):
        for work in works(extent.requests, plan):
            _tell(f"{plan.targets} targets, round {number + 1} of {extent.rounds}: {work.name}")
            bench.measure(work)
    for _ in range(extent.rounds):
        bench.measure(newcomers)


def _peers(plan: Plan, folder: Path, ca: Path | None) -> Iterator[Peer]:
    places = [folder / name for name in ("lite", "goosebit")]
    for place in places:
        place.mkdir()
    yield Lite(plan, places[0], ca)
    yield Goosebit(plan, places[1], ca)
    # With TLS a proxy stands before it.
    if HAWKBIT and ca is None:
        yield Hawkbit(plan, HAWKBIT)


@contextmanager
def _running(peer: Peer) -> Iterator[tuple[Peer, float]]:
    started = peer.start()
    try:
        yield peer, started
    finally:
        peer.stop()


def _hawkbit_start(folder: Path, paper: Paper) -> None:
    command = os.environ.get("FLIPSIDE_HAWKBIT_START", "")
    if command:
        took, cpu, size = cold_start(shlex.split(command), folder)
        paper.write(
            f"hawkBit, empty: first answer after {took:.1f} s and {cpu:.1f} s of processor time, "
            f"resident {size / MIB:.0f} MiB"
        )


def _certificate(folder: Path) -> Path:
    path = folder / "tls.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    half = folder / "certificate.pem"
    made = ["openssl", "req", "-x509", *kind, *subject, "-keyout", str(path), "-out", str(half)]
    subprocess.run(made, check=True, capture_output=True)
    path.write_text(path.read_text() + half.read_text())
    return path


def _tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.server", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--full", action="store_true", help="for figures; the default is a smoke")
    parser.add_argument("--write", type=Path, metavar="FILE", help="add the tables to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
