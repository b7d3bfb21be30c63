"""Requests of one kind, one after the other, as fast as they are answered: for benchmarks.

Workers with a connection each take turns through the devices. What a kind needs of the server (an
action to speak about, a bundle to fetch) is asked for before the clock starts.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from flipside_agent import ddi, deployment, feedback
from flipside_agent.address import address_of
from flipside_agent.errors import AgentError
from flipside_agent.transport import check_status
from flipside_qemu.errors import OperatorError
from flipside_qemu.fleet import Server
from flipside_qemu.fleet_connection import Reply
from flipside_qemu.fleet_dialogue import LIMITS
from flipside_qemu.fleet_request import Caller, Kind, caller
from flipside_qemu.fleet_tally import Tally
from flipside_qemu.fleet_wire import Network, Wire

KINDS: Final = (
    Kind.POLL,
    Kind.DEPLOYMENT,
    Kind.FEEDBACK,
    Kind.ATTRIBUTES,
    Kind.REGISTRATION,
    Kind.DOWNLOAD,
)
"""Registration is the first poll of a device; the others are repeated at will."""

_DOCUMENTS: Final = {
    Kind.FEEDBACK: feedback.progress("installing: 40 %, writing"),
    Kind.ATTRIBUTES: feedback.attributes({"board": "fleet", "version": "1", "slot": "A"}),
}


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be sent."""

    kind: Kind
    workers: int = 16
    """Connections, and requests under way, at the same time."""
    requests: int = 0
    """How many in all; 0 for no such end. Registrations end with the devices in any case."""
    seconds: float | None = None
    """How long at most."""


class Generator:
    """Sends requests of one kind to one server."""

    def __init__(self, server: Server, load: Load, credentials: Mapping[str, str]) -> None:
        self._server = server
        self._load = load
        self._callers = [
            caller(server.address, server.tenant, name, proof, kept=server.kept)
            for name, proof in credentials.items()
        ]

    async def prepare(self) -> list[bytes]:
        """The requests, one for each device that has what the kind needs."""
        kind = self._load.kind
        if kind in (Kind.POLL, Kind.REGISTRATION):
            return [one.ask("") for one in self._callers]
        if kind is Kind.ATTRIBUTES:
            return [one.tell("PUT", "/configData", _DOCUMENTS[kind]) for one in self._callers]
        network = Network(Tally(), asyncio.Semaphore(self._load.workers), self._server.tls)
        found = await asyncio.gather(*(self._request(network, one) for one in self._callers))
        requests = [request for request in found if request]
        if not requests:
            raise OperatorError(
                f"none of {len(found)} devices has an open action, which {kind} requests speak"
                " of: assign something to them first"
            )
        return requests

    async def send(self, requests: list[bytes], tally: Tally) -> None:
        """Send them, round and round, until the load is done; the tally tells what came of it."""
        load = self._load
        network = Network(tally, asyncio.Semaphore(load.workers), self._server.tls)
        rounds: Iterable[bytes] = requests
        if load.kind is not Kind.REGISTRATION:
            rounds = itertools.cycle(requests)
        turns = itertools.islice(rounds, load.requests or None)
        workers = [asyncio.create_task(self._work(network, turns)) for _ in range(load.workers)]
        try:
            done, _ = await asyncio.wait(
                workers, timeout=load.seconds, return_when=asyncio.FIRST_EXCEPTION
            )
            for worker in done:
                worker.result()
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, network: Network, turns: Iterator[bytes]) -> None:
        wire = Wire(network, self._server.address.site, kept=self._server.kept)
        kind = self._load.kind
        try:
            for request in turns:
                await self._turn(wire, kind, request)
        finally:
            wire.close()

    async def _turn(self, wire: Wire, kind: Kind, request: bytes) -> None:
        """One request; what goes wrong on the wire is counted there."""
        try:
            if kind is Kind.DOWNLOAD:
                reply = await wire.download(request)
            else:
                reply = await wire.ask(kind, request)
        except AgentError:
            return
        if not 200 <= reply.status < 300:
            wire.failed(f"{self._server.address.site} answered {reply.status} to {kind}")

    async def _request(self, network: Network, one: Caller) -> bytes:
        """The request of the wanted kind about the device's open action; empty without one."""
        wire = Wire(network, self._server.address.site, kept=one.kept)
        try:
            root = ddi.root_of(await self._document(wire, one.ask("")), LIMITS)
            if not root.deployment:
                return b""
            if self._load.kind is Kind.FEEDBACK:
                path = ddi.feedback_path(root.deployment)
                return one.tell("POST", path, _DOCUMENTS[Kind.FEEDBACK])
            request = one.ask(ddi.deployment_path(root))
            if self._load.kind is Kind.DEPLOYMENT:
                return request
            return self._fetch(one, root.deployment, await self._document(wire, request))
        finally:
            wire.close()

    def _fetch(self, one: Caller, action: str, document: Mapping[str, object]) -> bytes:
        offer = deployment.offer_of(document, action, self._server.address.site)
        place = address_of(offer.bundle.url) if offer else None
        if place is None or place.site != self._server.address.site:
            raise OperatorError(
                f"action {action} has no file at {self._server.address.site}, expected one to fetch"
            )
        return one.fetch(place)

    async def _document(self, wire: Wire, request: bytes) -> Mapping[str, object]:
        reply: Reply = await wire.ask(self._load.kind, request)
        check_status(reply.status, reply.headers, self._server.address.site, "a question")
        return ddi.document_of(reply.body)
