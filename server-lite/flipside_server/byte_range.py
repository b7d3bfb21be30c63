"""Which bytes of a file a request wants (RFC 9110, section 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flipside_server.errors import RangeError

MOST_RANGES = 64
"""More than this in one request is served as the whole file (RFC 9110, section 14.2)."""
_SET = re.compile(r"bytes=(.*)", re.DOTALL)
_RANGE = re.compile(r"[ \t]*(\d{0,19})-(\d{0,19})[ \t]*")


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of a file, from ``start`` up to but not including ``stop``."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """Bytes."""
        return self.stop - self.start

    def of(self, size: int) -> str:
        """The value of a Content-Range header for a file of that size."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


def wanted(header: str | None, size: int) -> tuple[Span, ...]:
    """The ranges that the header asks for, as they were asked; none for the whole file.

    What is no byte range at all gets a 416, as hawkBit answers, not the whole file.
    """
    if header is None:
        return ()
    found = _SET.fullmatch(header)
    texts = found[1].split(",", MOST_RANGES) if found else []
    if len(texts) > MOST_RANGES:
        return ()
    spans = tuple(span for text in texts if (span := _span(text, size)).length > 0)
    if not spans:
        raise RangeError(f"the Range header asks for nothing within the {size} bytes")
    # More than the file is an attack or a mistake: the whole is less.
    return () if sum(span.length for span in spans) > size else spans


def _span(text: str, size: int) -> Span:
    found = _RANGE.fullmatch(text)
    if found is None or found.groups() == ("", ""):
        raise RangeError("the Range header is not a byte range")
    first, last = found.groups()
    if not first:
        return Span(max(size - int(last), 0), size)
    stop = min(int(last) + 1, size) if last else size
    return Span(int(first), stop)


def applies(if_range: str | None, etag: str, modified: str) -> bool:
    """Whether the Range header counts beside this If-Range (RFC 9110, section 13.1.5)."""
    return if_range is None or if_range in (etag, modified)


def matches(if_match: str | None, etag: str) -> bool:
    """Whether If-Match allows an answer (RFC 9110, section 13.1.1)."""
    return if_match is None or _named(if_match, etag)


def known(if_none_match: str | None, etag: str) -> bool:
    """Whether the client has what this ETag names already (RFC 9110, section 13.1.2)."""
    return if_none_match is not None and _named(if_none_match, etag, weakly=True)


def _named(header: str, etag: str, *, weakly: bool = False) -> bool:
    if header.strip() == "*":
        return True
    listed = [one.strip() for one in header.split(",")]
    return etag in ([one.removeprefix("W/") for one in listed] if weakly else listed)
