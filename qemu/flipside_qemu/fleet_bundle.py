"""How a model device fetches a bundle: which parts of it, and what the server has to say to that.

Nothing is kept of the bytes; that they come, in the right number and of one and the same file, is
checked as the agent checks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from flipside_agent.address import Address
from flipside_agent.errors import NetworkError, UpdateError
from flipside_agent.ranges import Range, range_header
from flipside_agent.remote import Form, form_of
from flipside_agent.tail import LONGEST_TAIL
from flipside_agent.transport import check_status
from flipside_qemu.fleet_connection import Reply
from flipside_qemu.fleet_request import Caller
from flipside_qemu.fleet_wire import Network, Wire

_BLOCK = 128 << 10


class Manner(StrEnum):
    """What is downloaded of a bundle."""

    AGENT = "agent"
    """As our agent: the signature at the end, then one long range."""
    RAUC = "rauc"
    """As RAUC alone, streaming: the first four bytes, then ranges of 128 KiB."""
    WHOLE = "whole"
    """As clients that store the file first: one request without a range."""
    HEAD = "head"
    """Only asked for, with HEAD: no byte is fetched."""


def first_look(manner: Manner, size: int) -> Range | None:
    """What is fetched before anything is written; None for nothing."""
    match manner:
        case Manner.AGENT:
            return Range(max(0, size - LONGEST_TAIL), size)
        case Manner.RAUC:
            return Range(0, min(4, size))
        case _:
            return None


def parts(manner: Manner, wanted: Range) -> Iterator[Range]:
    """The requests in which this stretch of the bundle is fetched."""
    if manner is not Manner.RAUC:
        yield wanted
        return
    for start in range(wanted.start, wanted.stop, _BLOCK):
        yield Range(start, min(start + _BLOCK, wanted.stop))


@dataclass(slots=True)
class Remote:
    """One bundle at the server; one update fetches it."""

    wire: Wire
    caller: Caller
    place: Address
    size: int
    manner: Manner
    link: float
    """Bytes per second; 0 for as fast as they come."""
    form: Form | None = None

    async def look(self) -> None:
        """Fetch what an inspection reads."""
        wanted = first_look(self.manner, self.size)
        if wanted is not None:
            await self._range(wanted, _nobody)

    async def fetch(self, wanted: Range, on_progress: Callable[[int], None]) -> None:
        """Fetch a stretch of the bundle, telling up to which byte of the file it has come."""
        try:
            if self.manner is Manner.HEAD:
                await self._head()
            elif self.manner is Manner.WHOLE:
                await self._whole(on_progress)
            else:
                for part in parts(self.manner, wanted):
                    await self._range(part, on_progress)
        finally:
            self.wire.close()
        on_progress(wanted.stop)

    async def _range(self, wanted: Range, on_progress: Callable[[int], None]) -> None:
        condition = self.form.condition if self.form else {}
        headers = {"Range": range_header(wanted), **condition}
        request = self.caller.fetch(self.place, headers=headers)
        reply = await self.wire.download(
            request, self.link, lambda count: on_progress(min(wanted.start + count, wanted.stop))
        )
        if reply.status not in (200, 206, 416):
            self._check(reply)
        self.form = form_of(reply.status, reply.headers, wanted, self.size, self.form)
        _check_length(reply.received, wanted.length)

    async def _whole(self, on_progress: Callable[[int], None]) -> None:
        request = self.caller.fetch(self.place)
        reply = await self.wire.download(
            request, self.link, lambda count: on_progress(min(count, self.size))
        )
        self._check(reply)
        _check_length(reply.received, self.size)

    async def _head(self) -> None:
        reply = await self.wire.download(self.caller.fetch(self.place, "HEAD"), self.link)
        self._check(reply)
        if reply.headers.get("content-length") != str(self.size):
            raise UpdateError(f"the server has a bundle of another size than {self.size} bytes")

    def _check(self, reply: Reply) -> None:
        check_status(reply.status, reply.headers, self.place.site, "the request for the bundle")


def remote(  # noqa: PLR0913 - one for each field, but for what follows from the others
    network: Network, caller: Caller, place: Address, size: int, manner: Manner, link: float
) -> Remote:
    """The bundle at this place; RAUC keeps its connection, whatever the device does else."""
    own = replace(caller, kept=caller.kept or manner is Manner.RAUC)
    return Remote(Wire(network, place.site, kept=own.kept), own, place, size, manner, link)


def _nobody(_: int) -> None:
    """Hear of progress and say nothing."""


def _check_length(received: int, expected: int) -> None:
    if received != expected:
        raise NetworkError(f"the server sent {received} bytes of the bundle, expected {expected}")
