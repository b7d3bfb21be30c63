"""What is asked of every server, in turns, and what comes of it."""

from __future__ import annotations

import asyncio
import math
import ssl
import sys
import time
from collections import defaultdict
from dataclasses import dataclass

from bench.peer import BUSY, MIB, Peer, Plan
from bench.process import spent

from flipside_agent.address import address_of
from flipside_qemu.errors import OperatorError
from flipside_qemu.fleet import Server
from flipside_qemu.fleet_load import Generator, Load
from flipside_qemu.fleet_request import Kind
from flipside_qemu.fleet_tally import Tally


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
    rate: float
    """Requests a second."""
    errors: int


Results = dict[tuple[str, str], list[Figures]]
"""By server and work."""


def works(requests: int, plan: Plan) -> list[Work]:
    """Everything that leaves the fleet as large as it is, in its order."""
    few, idle = max(4, requests // 20), BUSY + 1
    return [
        Work("idle poll, kept", Kind.POLL, requests, first=idle),
        Work("idle poll, new connection", Kind.POLL, requests, kept=False, first=idle),
        Work("poll with deployment", Kind.POLL, requests, last=BUSY),
        Work("deploymentBase", Kind.DEPLOYMENT, requests, last=BUSY),
        Work("feedback", Kind.FEEDBACK, requests, last=BUSY),
        Work(f"download {plan.small // MIB} MiB", Kind.DOWNLOAD, few, workers=4, last=BUSY),
        Work(
            f"download {plan.large // MIB} MiB",
            Kind.DOWNLOAD,
            max(1, few // 20),
            workers=1,
            first=BUSY,
            last=idle,
        ),
    ]


def registration(requests: int) -> Work:
    """The first polls of devices that nobody knows; measured last, because the fleet grows."""
    return Work("registration", Kind.REGISTRATION, requests // 4)


class Bench:
    """All servers, filled alike, asked in turns."""

    def __init__(self, plan: Plan, peers: list[Peer], tls: ssl.SSLContext | None) -> None:
        self._plan = plan
        self._peers = peers
        self._tls = tls
        self._newcomers = 0
        self.figures: Results = defaultdict(list)

    def warm(self, work: Work, most: int) -> None:
        """Do this at every server until it costs no tenth less than before, at most so often."""
        for peer in self._peers:
            before = math.inf
            for _ in range(most):
                found = self._measured(peer, work)
                if found is None or found.cpu > 0.9 * before:
                    break
                before = found.cpu

    def measure(self, work: Work) -> None:
        """Do this once at every server."""
        for peer in self._peers:
            found = self._measured(peer, work)
            if found is not None:
                self.figures[peer.name, work.name].append(found)

    def _measured(self, peer: Peer, work: Work) -> Figures | None:
        place = address_of(peer.url)
        assert place is not None
        server = Server(place, tls=self._tls, kept=work.kept)
        load = Load(work.kind, workers=work.workers, requests=work.requests)
        generator, tally = Generator(server, load, self._credentials(peer, work)), Tally()
        try:
            cpu, wall = asyncio.run(_sent(generator, tally, peer.pid))
        except OperatorError as error:
            print(f"{peer.name}, {work.name}: {error}", file=sys.stderr)
            return None
        took = tally.requests[work.kind]
        if tally.errors:
            print(f"{peer.name}, {work.name}: {dict(tally.errors)}", file=sys.stderr)
        if not took.count:
            return None
        p50, p99 = (1e3 * took.quantile(share) for share in (0.5, 0.99))
        return Figures(1e3 * cpu / took.count, p50, p99, took.count / wall, tally.errors.total())

    def _credentials(self, peer: Peer, work: Work) -> dict[str, str]:
        if work.kind is Kind.REGISTRATION:
            self._newcomers += work.requests
            numbers = range(self._newcomers - work.requests, self._newcomers)
            return dict.fromkeys((f"{self._plan.stem}-new-{n}" for n in numbers), peer.newcomer())
        names = self._plan.names()[work.first : work.last]
        return {name: peer.authorization(name) for name in names}


async def _sent(generator: Generator, tally: Tally, pid: int) -> tuple[float, float]:
    """Processor seconds of the server, and wall seconds."""
    requests = await generator.prepare()
    cpu, wall = spent(pid), time.perf_counter()
    await generator.send(requests, tally)
    return spent(pid) - cpu, time.perf_counter() - wall
