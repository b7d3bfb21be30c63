"""What to fetch next of a bundle: what RAUC waits for, and a little ahead of it.

RAUC reads a bundle mostly from front to back, in some 1,800 ranges of 128 KiB, with jumps to the
hash tree and to squashfs tables. One long request (the stream) follows it, jumps get requests of
their own. How far the stream runs ahead grows with how long RAUC has followed it: an adaptive
update reads a few percent of the bundle here and there, and must not pay for the rest.
Where the stream comes upon what a jump fetched before, it fetches it again: a new request would
throw away more than that in what is on its way already.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from flipside_agent.ranges import Range, Ranges, missing, widened

GRAIN = 64 << 10
"""Bytes; a jump is widened to whole grains, because its neighbours are asked for next."""

FIRST_AHEAD = 256 << 10
"""Bytes that a new stream runs ahead."""

SETTLED = 512 << 10
"""Bytes of jumps in a row after which they are not jumps: the stream moves there."""

NOWHERE = Range(0, 0)


@dataclass(frozen=True, slots=True)
class Stream:
    """The long request under way."""

    start: int
    at: int
    """Offset of the next byte that it gives."""
    stop: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What the fetcher goes by."""

    size: int
    """Bytes of the bundle."""
    ahead: int
    """Bytes that a stream may run ahead at most."""
    stream: Stream | None = None
    followed: int = 0
    """End of the furthest read within the stream."""
    resting: bool = False
    """The stream has run ahead far enough; it goes on when half of that is used up."""
    jumped: Range = NOWHERE
    """The latest jumps in a row, without a read within the stream between them."""


@dataclass(frozen=True, slots=True)
class Follow:
    """Read on in the stream."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin a stream, in place of the one there is."""

    wanted: Range


@dataclass(frozen=True, slots=True)
class Jump:
    """Fetch this on its own."""

    wanted: Range


Move = Follow | Begin | Jump


def next_move(plan: Plan, held: Ranges, demands: Ranges) -> Move | None:
    """Return what to fetch, or None while there is nothing worth fetching.

    ``demands`` are what readers wait for, the longest waiting first.
    """
    for demand in demands:
        gaps = missing(held, demand)
        if gaps:
            return _towards(plan, held, gaps[0])
    if plan.stream is None:
        return None
    reach = _reach(plan)
    room = min(plan.stream.stop, plan.followed + reach) - plan.stream.at
    return Follow() if room > (reach // 2 if plan.resting else 0) else None


def _towards(plan: Plan, held: Ranges, gap: Range) -> Move:
    stream = plan.stream
    if stream is not None and stream.at <= gap.start < min(stream.stop, stream.at + _reach(plan)):
        return Follow()
    settled = gap.start == plan.jumped.stop and plan.jumped.length >= SETTLED
    if stream is None or settled:
        return Begin(missing(held, Range(gap.start, plan.size))[0])
    around = missing(held, widened(gap, GRAIN, plan.size))
    return Jump(next(one for one in around if one.start <= gap.start < one.stop))


def _reach(plan: Plan) -> int:
    if plan.stream is None:
        return 0
    return min(plan.ahead, max(FIRST_AHEAD, 2 * (plan.followed - plan.stream.start)))


def begun(plan: Plan, wanted: Range) -> Plan:
    """Return the plan once a stream of these bytes was begun."""
    stream = Stream(wanted.start, wanted.start, wanted.stop)
    return replace(plan, stream=stream, followed=wanted.start, jumped=NOWHERE)


def advanced(plan: Plan, count: int) -> Plan:
    """Return the plan once the stream gave so many bytes more."""
    assert plan.stream is not None, "only a stream advances"
    at = plan.stream.at + count
    ended = at >= plan.stream.stop
    stream = None if ended else replace(plan.stream, at=at)
    return replace(plan, stream=stream, resting=False)


def rested(plan: Plan) -> Plan:
    """Return the plan once there was nothing worth fetching."""
    return plan if plan.resting else replace(plan, resting=True)


def broken(plan: Plan) -> Plan:
    """Return the plan once the stream broke off."""
    return replace(plan, stream=None)


def jumped(plan: Plan, fetched: Range) -> Plan:
    """Return the plan once a jump was fetched."""
    in_a_row = fetched.start == plan.jumped.stop
    start = plan.jumped.start if in_a_row else fetched.start
    return replace(plan, jumped=Range(start, fetched.stop))


def reading(plan: Plan, wanted: Range) -> Plan:
    """Return the plan once a reader asked for this."""
    stream = plan.stream
    if stream is None or not stream.start <= wanted.start <= stream.at + _reach(plan):
        return plan
    if wanted.stop < plan.followed + GRAIN and plan.jumped is NOWHERE:
        return plan  # this is called for every read: to change nothing costs nothing
    return replace(plan, followed=max(plan.followed, wanted.stop), jumped=NOWHERE)
