"""What an application answers, as a value, and as the bytes that come before its body."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

Environ = dict[str, Any]
App = Callable[[Environ, Any], Iterable[bytes]]
Headers = list[tuple[str, str]]
_UNSAFE = re.compile(r"[\r\n\0]")


@dataclass(slots=True)
class Response:
    """The answer to one request."""

    status: str
    headers: Headers
    body: bytes = b""
    blocks: Any = None
    """A body that is fetched piece by piece, with a ``close()`` perhaps; None if it is whole."""
    length: int | None = None
    """Bytes of the body; None if nobody knows."""


def answered(app: App, environ: Environ) -> Response:
    """The application's answer to a request."""
    told: list[tuple[str, Headers]] = []
    written: list[bytes] = []

    def start_response(status: str, headers: Headers, _: Any = None) -> Callable[[bytes], None]:
        told[:] = [(status, headers)]
        return written.append

    # Our applications call start_response before they return, not when they are iterated.
    blocks = app(environ, start_response)
    ((status, headers),) = told
    if any(_UNSAFE.search(text) for pair in headers for text in pair):
        raise ValueError("a header of the application holds a line break")
    if isinstance(blocks, list | tuple):
        body = b"".join([*written, *blocks])
        return Response(status, headers, body, None, _length(headers, len(body)))
    return Response(status, headers, b"".join(written), blocks, _length(headers, None))


def plain(status: str, sentence: str) -> Response:
    """A short answer of the server's own."""
    body = f"{sentence}\n".encode()
    headers = [("Content-Type", "text/plain;charset=UTF-8"), ("X-Content-Type-Options", "nosniff")]
    return Response(status, headers, body, None, len(body))


def head(response: Response, *, keep: bool, chunked: bool, now: float) -> bytes:
    """First line and headers (RFC 9112, section 4)."""
    lines = [f"HTTP/1.1 {response.status}"]
    lines += [f"{name}: {value}" for name, value in response.headers]
    names = {name.lower() for name, _ in response.headers}
    if "date" not in names:
        lines.append(f"Date: {_date(int(now))}")
    if chunked:
        lines.append("Transfer-Encoding: chunked")
    elif "content-length" not in names and response.length is not None and not bare(response):
        lines.append(f"Content-Length: {response.length}")
    lines.append("Connection: keep-alive" if keep else "Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def bare(response: Response) -> bool:
    """The answer never has a body (RFC 9110, 15.3.5 and 15.4.5)."""
    return response.status[:3] in ("204", "304")


def _length(headers: Headers, known: int | None) -> int | None:
    for name, value in headers:
        if name.lower() == "content-length":
            return int(value)
    return known


_DATES: dict[int, str] = {}


def _date(second: int) -> str:
    if second not in _DATES:
        _DATES.clear()
        _DATES[second] = formatdate(second, usegmt=True)
    return _DATES[second]
