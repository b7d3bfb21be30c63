"""Which bytes of a file a request wants (RFC 9110, section 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flipside_server.errors import RangeError

_SINGLE = re.compile(r"bytes=\s*(\d{0,19})-(\d{0,19})\s*")
_SEVERAL = re.compile(r"bytes=\s*\d*-\d*\s*(,\s*\d*-\d*\s*)+")


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of a file, from ``start`` up to but not including ``stop``."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """Bytes."""
        return self.stop - self.start


def wanted(header: str | None, size: int) -> Span | None:
    """The range that the header asks for; None for the whole file.

    Several ranges get the whole file, as RFC 9110 section 14.2 lets a server do.
    What is no byte range at all gets a 416, as hawkBit answers, not the whole file.
    """
    if header is None or _SEVERAL.fullmatch(header):
        return None
    found = _SINGLE.fullmatch(header)
    if found is None or found.groups() == ("", ""):
        raise RangeError("the Range header is not a byte range")
    span = _resolved(found[1], found[2], size)
    if span.length <= 0:
        raise RangeError(f"the range lies outside the {size} bytes")
    return span


def _resolved(first: str, last: str, size: int) -> Span:
    if not first:
        return Span(max(size - int(last), 0), size)
    stop = min(int(last) + 1, size) if last else size
    return Span(int(first), stop)


def applies(if_range: str | None, etag: str, modified: str) -> bool:
    """Whether the Range header counts beside this If-Range (RFC 9110, section 13.1.5)."""
    return if_range is None or if_range in (etag, modified)


def matches(if_match: str | None, etag: str) -> bool:
    """Whether If-Match allows an answer (RFC 9110, section 13.1.1)."""
    if if_match is None or if_match.strip() == "*":
        return True
    return etag in [one.strip() for one in if_match.split(",")]
