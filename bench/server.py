"""What a request costs server-lite, beside goosebit and hawkBit: side by side, in turns.

    python -m bench.server [--full] [--tls] [--targets 100,1000,10000] [--rounds 3]

The load is the fixed requests of ``flipside-fleet``: the same program for every server. Measured
is the processor time of the *server's* processes, from /proc, so that a busy machine changes it
little; p50 and p99 are wall times and mean something on a quiet machine only.

goosebit is fetched from PyPI into an environment of its own in the cache. A hawkBit that runs
already takes part if these are set:

    FLIPSIDE_HAWKBIT=http://admin:admin@127.0.0.1:18080  FLIPSIDE_HAWKBIT_PID=1234
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.goosebit import Goosebit
from bench.hawkbit import Hawkbit
from bench.lite import Lite
from bench.peer import BUSY, Peer, Plan

from flipside_agent.address import address_of
from flipside_qemu.errors import OperatorError
from flipside_qemu.fleet import Server
from flipside_qemu.fleet_load import Generator, Load
from flipside_qemu.fleet_request import Kind
from flipside_qemu.fleet_tally import Tally

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of load."""

    name: str
    kind: Kind
    requests: int
    kept: bool = True
    workers: int = 16
    first: int = 0
    last: int | None = None
    """Which of the devices take part."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of one load at one server."""

    cpu: float
    """Milliseconds of the server's processor time a request."""
    p50: float
    p99: float
    """Milliseconds."""
    errors: int


Results = dict[tuple[str, int, str], list[Figures]]
"""By server, number of targets and work."""


def works(requests: int, plan: Plan) -> list[Work]:
    """Everything that is measured, in its order."""
    few = max(4, requests // 20)
    return [
        Work("idle poll, kept", Kind.POLL, requests, first=BUSY + 1),
        Work("idle poll, new connection", Kind.POLL, requests, kept=False, first=BUSY + 1),
        Work("poll with deployment", Kind.POLL, requests, last=BUSY),
        Work("deploymentBase", Kind.DEPLOYMENT, requests, last=BUSY),
        Work("feedback", Kind.FEEDBACK, min(requests, BUSY * 40), last=BUSY),
        Work("registration", Kind.REGISTRATION, requests // 2),
        Work(f"download {plan.small // MIB} MiB", Kind.DOWNLOAD, few, workers=4, last=BUSY),
        Work(
            f"download {plan.large // MIB} MiB",
            Kind.DOWNLOAD,
            max(1, few // 10),
            workers=1,
            first=BUSY,
            last=BUSY + 1,
        ),
    ]


class Bench:
    """All servers, filled alike, asked in turns."""

    def __init__(self, plan: Plan, peers: list[Peer], requests: int, ca: Path | None) -> None:
        self._plan = plan
        self._peers = peers
        self._requests = requests
        self._tls = ssl.create_default_context(cafile=ca) if ca is not None else None
        if self._tls is not None:
            self._tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
        self.figures: Results = defaultdict(list)
        self._round = 0

    def measure(self) -> None:
        """Do everything once at every server."""
        self._round += 1
        for work in works(self._requests, self._plan):
            for peer in self._peers:
                found = self._measured(peer, work)
                key = (peer.name, self._plan.targets, work.name)
                if found is not None:
                    self.figures[key].append(found)

    def _measured(self, peer: Peer, work: Work) -> Figures | None:
        credentials = self._credentials(peer, work)
        place = address_of(peer.url)
        assert place is not None
        server = Server(place, tls=self._tls, kept=work.kept)
        load = Load(work.kind, workers=work.workers, requests=work.requests)
        tally = Tally()

        async def run() -> float:
            generator = Generator(server, load, credentials)
            requests = await generator.prepare()
            before = spent(peer.pid)
            await generator.send(requests, tally)
            return spent(peer.pid) - before

        try:
            cpu = asyncio.run(run())
        except OperatorError as error:
            print(f"{peer.name}, {work.name}: {error}", file=sys.stderr)
            return None
        took = tally.requests[work.kind]
        if not took.count:
            print(f"{peer.name}, {work.name}: {dict(tally.errors)}", file=sys.stderr)
            return None
        return Figures(
            1e3 * cpu / took.count,
            1e3 * took.quantile(0.5),
            1e3 * took.quantile(0.99),
            tally.errors.total(),
        )

    def _credentials(self, peer: Peer, work: Work) -> dict[str, str]:
        if work.kind is Kind.REGISTRATION:
            stem = f"new-{os.getpid()}-{self._round}-{self._plan.targets}-"
            return dict.fromkeys((f"{stem}{n}" for n in range(work.requests)), peer.newcomer())
        names = self._plan.names()[work.first : work.last]
        return {name: peer.authorization(name) for name in names}


def main() -> None:
    """Measure and print tables in Markdown."""
    options = _options()
    sizes = [int(size) for size in options.targets.split(",")]
    requests = options.requests or (4000 if options.full else 320)
    rounds = options.rounds or (3 if options.full else 1)
    large = 200 if options.full else 16
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIRECTORY")) as folder:
        for size in sizes:
            place = Path(folder) / str(size)
            place.mkdir()
            plan = Plan(max(size, BUSY + 2), 4 * MIB, large * MIB)
            _one_size(plan, place, options.tls, requests, rounds)


def _one_size(plan: Plan, folder: Path, tls: bool, requests: int, rounds: int) -> None:
    ca = _certificate(folder) if tls else None
    with ExitStack() as stack:
        peers = [stack.enter_context(_running(peer)) for peer in _peers(plan, folder, ca)]
        bench = Bench(plan, [peer for peer, _ in peers], requests, ca)
        idle = [resident(peer.pid) for peer, _ in peers]
        for _ in range(rounds):
            bench.measure()
        _print(bench.figures, plan, [peer.name for peer, _ in peers])
        for (peer, started), before in zip(peers, idle, strict=True):
            print(
                f"{peer.name}: start {started:.2f} s, resident {before / MIB:.0f} MiB,"
                f" under load {resident(peer.pid) / MIB:.0f} MiB"
            )


def _peers(plan: Plan, folder: Path, ca: Path | None) -> Iterator[Peer]:
    places = [folder / name for name in ("lite", "goosebit")]
    for place in places:
        place.mkdir()
    yield Lite(plan, places[0], ca)
    if ca is not None:
        # goosebit has no TLS of its own setting; with hawkBit it is a proxy's work.
        return
    yield Goosebit(plan, places[1])
    address = os.environ.get("FLIPSIDE_HAWKBIT")
    if address:
        yield Hawkbit(plan, address, int(os.environ["FLIPSIDE_HAWKBIT_PID"]))
    else:
        print("no hawkBit is measured: FLIPSIDE_HAWKBIT is not set", file=sys.stderr)


@contextmanager
def _running(peer: Peer) -> Iterator[tuple[Peer, float]]:
    started = peer.start()
    try:
        yield peer, started
    finally:
        peer.stop()


def _print(figures: Results, plan: Plan, names: list[str]) -> None:
    print(f"\n{plan.targets} targets; CPU ms of the server a request (p50 / p99 ms wall)\n")
    heads = ["work", *names, *(f"{name} / {names[0]}" for name in names[1:])]
    print("| " + " | ".join(heads) + " |")
    print("|" + " --- |" * len(heads))
    for work in dict.fromkeys(key[2] for key in figures):
        found = {name: figures.get((name, plan.targets, work), []) for name in names}
        cells = [work, *(_cell(found[name]) for name in names)]
        cells += [_ratio(found[name], found[names[0]]) for name in names[1:]]
        print("| " + " | ".join(cells) + " |", flush=True)


def _cell(found: list[Figures]) -> str:
    if not found:
        return "-"
    cpu, p50, p99 = (
        statistics.median(getattr(one, part) for one in found) for part in ("cpu", "p50", "p99")
    )
    wrong = sum(one.errors for one in found)
    return f"{cpu:.3f} ({p50:.1f} / {p99:.1f})" + (f", {wrong} errors" if wrong else "")


def _ratio(theirs: list[Figures], ours: list[Figures]) -> str:
    if not theirs or not ours:
        return "-"
    cost = statistics.median(one.cpu for one in ours)
    return f"{statistics.median(one.cpu for one in theirs) / cost:.1f}" if cost else "-"


def spent(pid: int) -> float:
    """Processor seconds of a process and its children so far."""
    ticks = 0
    for one in _family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICK


def resident(pid: int) -> int:
    """Bytes that a process and its children have in memory."""
    pages = (Path(f"/proc/{one}/statm").read_text().split()[1] for one in _family(pid))
    return sum(int(count) for count in pages) * _PAGE


def _family(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        children = Path(f"/proc/{one}/task/{one}/children").read_text().split()
        found += [int(child) for child in children]
    return found


def _certificate(folder: Path) -> Path:
    path = folder / "tls.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    half = folder / "certificate.pem"
    made = ["openssl", "req", "-x509", *kind, *subject, "-keyout", str(path), "-out", str(half)]
    subprocess.run(made, check=True, capture_output=True)
    path.write_text(path.read_text() + half.read_text())
    return path


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.server", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--full", action="store_true", help="for figures; the default is a smoke")
    parser.add_argument("--tls", action="store_true", help="server-lite alone, with TLS")
    parser.add_argument("--targets", default="100", metavar="N,N", help="default: %(default)s")
    parser.add_argument("--requests", type=int, default=0, metavar="N", help="of each kind")
    parser.add_argument("--rounds", type=int, default=0, metavar="N")
    return parser.parse_args()


if __name__ == "__main__":
    main()
