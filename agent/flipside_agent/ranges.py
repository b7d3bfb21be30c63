"""Byte ranges: arithmetic on what is held and what is missing, and their headers in HTTP."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flipside_agent.errors import ServerError

_RANGE = re.compile(r"bytes=([0-9]{1,18})?-([0-9]{1,18})?")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """Bytes from ``start`` up to, not including, ``stop``."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """Bytes."""
        return self.stop - self.start


Ranges = tuple[Range, ...]
"""Sorted, none empty, no two touching."""


def add(held: Ranges, new: Range) -> Ranges:
    """Return what is held once ``new`` has come."""
    if new.length <= 0:
        return held
    before = tuple(one for one in held if one.stop < new.start)
    after = tuple(one for one in held if one.start > new.stop)
    joined = held[len(before) : len(held) - len(after)]
    start = min([new.start, *(one.start for one in joined)])
    stop = max([new.stop, *(one.stop for one in joined)])
    return (*before, Range(start, stop), *after)


def missing(held: Ranges, wanted: Range) -> Ranges:
    """Return the parts of ``wanted`` that are not held."""
    gaps = []
    at = wanted.start
    for one in held:
        if one.stop <= at:
            continue
        if one.start >= wanted.stop:
            break
        if one.start > at:
            gaps.append(Range(at, one.start))
        at = one.stop
    if at < wanted.stop:
        gaps.append(Range(at, wanted.stop))
    return tuple(gaps)


def total(held: Ranges) -> int:
    """Return the number of bytes held."""
    return sum(one.length for one in held)


def widened(wanted: Range, grain: int, size: int) -> Range:
    """Return ``wanted`` rounded outwards to whole grains, within ``size``."""
    start = wanted.start // grain * grain
    stop = -(-wanted.stop // grain) * grain
    return Range(start, min(stop, size))


def requested(header: str, size: int) -> Range | None:
    """Return the bytes that a ``Range`` header asks for, or None if they cannot be given.

    One range only: RFC 9110, 14.2 lets a server refuse more.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        return None
    first, last = match[1], match[2]
    if first is None and last is None:
        return None
    if first is None:  # RFC 9110, 14.1.2: a suffix, the last so many bytes
        wanted = Range(max(0, size - int(last)), size)
    else:
        wanted = Range(int(first), min(int(last) + 1, size) if last is not None else size)
    return wanted if wanted.length > 0 else None


def range_header(wanted: Range) -> str:
    """Return the ``Range`` header that asks for these bytes."""
    return f"bytes={wanted.start}-{wanted.stop - 1}"


def content_range_header(given: Range, size: int) -> str:
    """Return the ``Content-Range`` header that goes with these bytes."""
    return f"bytes {given.start}-{given.stop - 1}/{size}"


def content_range(header: str) -> tuple[Range, int]:
    """Return the bytes and the whole size that a ``Content-Range`` header names."""
    match = _CONTENT_RANGE.fullmatch(header.strip())
    if match is None:
        raise ServerError(f"the server sent Content-Range {header[:80]!r}, expected bytes A-B/SIZE")
    given, size = Range(int(match[1]), int(match[2]) + 1), int(match[3])
    if given.length <= 0 or given.stop > size:
        raise ServerError(f"the server sent Content-Range {header[:80]!r}, which cannot be")
    return given, size
