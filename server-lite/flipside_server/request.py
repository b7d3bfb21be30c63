"""Requests out of the bytes of a connection, as WSGI environments: RFC 9112 by llhttp, and limits.

Pure: bytes in, requests out. What a client sends that could mean two things is refused: two
lengths, a length beside chunks, two hosts, a header that WSGI could not tell from another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

import httptools

from flipside_server.limits import Limits

_WITHOUT_PREFIX = ("CONTENT_TYPE", "CONTENT_LENGTH")
_ONCE = ("HTTP_HOST", "HTTP_AUTHORIZATION", "CONTENT_LENGTH", "CONTENT_TYPE")
"""Headers that mean nothing certain if they come twice."""


class Mark(Enum):
    """What happens within a request."""

    EXPECTING = auto()
    """The client waits for a word before it sends the body (RFC 9110, 10.1.1)."""
    END = auto()
    """A body that is handed on as it comes is at its end."""


@dataclass(slots=True)
class Request:
    """One request, whole or with its body still to come."""

    environ: dict[str, Any]
    """What of the WSGI environment the client decides."""
    keep: bool
    """Whether the client wants the connection to be kept."""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is said to a client that cannot be understood; then the connection is closed."""

    status: str
    sentence: str


Event = Request | bytes | Mark | Refusal


@dataclass(slots=True)
class _Draft:
    """A request as far as it has come."""

    environ: dict[str, Any] = field(default_factory=dict)
    url: bytes = b""
    head: int = 0
    """Bytes of first line, headers and trailers."""
    headers: int = 0
    body: list[bytes] = field(default_factory=list)
    size: int = 0
    """Bytes of the body that have come."""


class RequestReader:
    """Reads the requests of one connection."""

    def __init__(self, limits: Limits, *, streamed: bool = False) -> None:
        self._limits = limits
        self._streamed = streamed
        self._parser = httptools.HttpRequestParser(self)
        self._events: list[Event] = []
        self._draft = _Draft()
        self._refusal: Refusal | None = None
        self._unfinished = 0
        """Bytes that have come since there was last something whole: a head, a piece of body."""
        self.in_head = False
        """Something of a request has come, but not all of its head."""
        self.in_body = False
        """A head has come, and its body has not come whole."""

    @property
    def held(self) -> int:
        """Bytes of a body that wait here for the rest."""
        return 0 if self._streamed else self._draft.size

    def feed(self, data: bytes) -> list[Event]:
        """What follows from these bytes; after a refusal nothing does."""
        events: list[Event] = []
        self._events = events
        self.in_head = self.in_head or not self.in_body
        self._unfinished += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._go_on_as_before()
        except httptools.HttpParserError as error:
            self._refuse("400 Bad Request", f"the request is not HTTP ({error})")
        if (self.in_head or self.in_body) and self._unfinished > self._limits.head:
            self._too_long()
        if self._refusal is not None:
            events.append(self._refusal)
        return events

    def on_message_begin(self) -> None:
        """Called by the parser."""
        self._draft = _Draft()
        self.in_head = True

    def on_url(self, url: bytes) -> None:
        """Called by the parser, perhaps with a part of it."""
        self._draft.url += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser, for trailers too, which nobody reads."""
        draft = self._draft
        draft.headers += 1
        if draft.headers > self._limits.headers:
            self._refuse("431 Request Header Fields Too Large", "there are too many headers")
        self._count(len(name) + len(value))
        key = _key(name)
        if self.in_body or not key:
            return
        text = value.decode("latin-1")
        if key in draft.environ:
            if key in _ONCE:
                self._refuse("400 Bad Request", "a header came twice that may come once")
            text = f"{draft.environ[key]},{text}"
        draft.environ[key] = text

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        draft, parser = self._draft, self._parser
        self.in_head, self.in_body, self._unfinished = False, True, 0
        version = parser.get_http_version()
        if version not in ("1.1", "1.0"):
            self._refuse("505 HTTP Version Not Supported", "HTTP/1.1 is spoken here")
        environ = draft.environ
        if version == "1.1" and "HTTP_HOST" not in environ:
            self._refuse("400 Bad Request", "the Host header is missing")
        if not self._streamed and int(environ.get("CONTENT_LENGTH") or 0) > self._limits.body:
            self._too_large()
        if self._refusal is None:
            environ["REQUEST_METHOD"] = parser.get_method().decode("latin-1")
            environ["SERVER_PROTOCOL"] = f"HTTP/{version}"
            self._locate(environ, draft.url)
            self._begin(environ)

    def on_body(self, data: bytes) -> None:
        """Called by the parser."""
        draft = self._draft
        draft.size += len(data)
        self._unfinished = 0
        if self._refusal is not None:
            return
        if self._streamed:
            self._events.append(data)
        elif draft.size > self._limits.body:
            self._too_large()
        else:
            draft.body.append(data)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        draft, self._draft = self._draft, _Draft()
        self.in_body, self._unfinished = False, 0
        if self._refusal is not None:
            return
        if self._streamed:
            self._events.append(Mark.END)
            return
        body = b"".join(draft.body)
        # Chunks were put together: what the application sees is a body of known length.
        draft.environ.pop("HTTP_TRANSFER_ENCODING", None)
        draft.environ["CONTENT_LENGTH"] = str(len(body))
        self._events.append(Request(draft.environ, self._parser.should_keep_alive(), body))

    def _go_on_as_before(self) -> None:
        # Nothing else is spoken here (RFC 9110, 7.8): answered as if it had not been asked for.
        last = self._events[-1] if self._events else None
        if isinstance(last, Request):
            last.keep = False
        else:
            self._refuse("400 Bad Request", "no other protocol is spoken here")

    def _begin(self, environ: Mapping[str, Any]) -> None:
        if environ.get("HTTP_EXPECT", "").lower() == "100-continue":
            self._events.append(Mark.EXPECTING)
        if self._streamed:
            keep = self._parser.should_keep_alive()
            self._events.append(Request(self._draft.environ, keep))

    def _locate(self, environ: dict[str, Any], url: bytes) -> None:
        if not url.startswith(b"/"):
            # RFC 9112, 3.2.2: a server has to take the absolute form too.
            _, scheme, rest = url.partition(b"://")
            _, slash, path = rest.partition(b"/")
            if not scheme:
                self._refuse("400 Bad Request", "the request names no path")
            url = slash + path or b"/"
        path, _, query = url.partition(b"?")
        if b"%" in path:
            path = unquote_to_bytes(path)
        environ["PATH_INFO"] = path.decode("latin-1")
        environ["QUERY_STRING"] = query.decode("latin-1")

    def _count(self, size: int) -> None:
        self._draft.head += size
        if self._draft.head > self._limits.head:
            self._too_long()

    def _too_long(self) -> None:
        if self._draft.headers or self._draft.environ:
            self._refuse("431 Request Header Fields Too Large", "the headers are too long")
        else:
            self._refuse("414 URI Too Long", "the address is too long")

    def _too_large(self) -> None:
        most = self._limits.body
        self._refuse("413 Content Too Large", f"the body has more than {most} bytes")

    def _refuse(self, status: str, sentence: str) -> None:
        if self._refusal is None:
            self._refusal = Refusal(status, sentence)


@lru_cache(maxsize=512)
def _key(name: bytes) -> str:
    """The header's name in WSGI; empty if it could be taken for another's."""
    # X_Name would become the same key as X-Name, which a proxy in front may have vouched for.
    if b"_" in name:
        return ""
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in _WITHOUT_PREFIX else f"HTTP_{key}"
