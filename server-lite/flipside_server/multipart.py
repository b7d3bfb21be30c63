"""Several ranges of a file as one body: multipart/byteranges (RFC 9110, section 14.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from flipside_server.byte_range import Span


class Closing(Protocol):
    """Blocks of a file that is open until it is closed."""

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """Ranges of a file, and what separates them."""

    spans: Sequence[Span]
    size: int
    """Bytes of the whole file."""
    boundary: str

    @property
    def length(self) -> int:
        """Bytes of the whole body."""
        heads = sum(len(self.head(span)) for span in self.spans)
        return heads + sum(span.length for span in self.spans) + len(self.tail())

    def head(self, span: Span) -> bytes:
        """What goes before a range."""
        return (
            f"\r\n--{self.boundary}\r\nContent-Type: application/octet-stream\r\n"
            f"Content-Range: {span.of(self.size)}\r\n\r\n"
        ).encode()

    def tail(self) -> bytes:
        """What goes after the last range."""
        return f"\r\n--{self.boundary}--\r\n".encode()


def body(parts: Parts, read: Callable[[Span], Closing | bytes]) -> Iterator[bytes]:
    """The body, made while it is sent, so that one range at a time is in memory or open."""
    for span in parts.spans:
        yield parts.head(span)
        content = read(span)
        if isinstance(content, bytes):
            yield content
            continue
        try:
            yield from content
        finally:
            content.close()
    yield parts.tail()
