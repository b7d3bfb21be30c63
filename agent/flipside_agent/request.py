"""The heads of HTTP requests, as far as the origin understands them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

LONGEST_HEAD = 8192
"""Bytes of request line and headers."""

_REQUEST_LINE = re.compile(r"([A-Z]{1,16}) ([!-~]{1,256}) HTTP/1\.([01])")


@dataclass(frozen=True, slots=True)
class Request:
    """One request without a body."""

    method: str
    target: str
    headers: Mapping[str, str]
    """Names in lower case; of a repeated one, the last."""
    last: bool
    """The client does not want to send another one over this connection."""


def request_of(head: bytes) -> Request | None:
    """Return the request that a head makes, or None if it makes none.

    Stricter than RFC 9112 asks: there is one client, and it is known.
    """
    lines = head.decode("latin-1").split("\r\n")
    match = _REQUEST_LINE.fullmatch(lines[0])
    if match is None:
        return None
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            return None
        headers[name.lower()] = value.strip()
    # RFC 9112, 6: a body follows; what it held would be taken for the next request.
    if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
        return None
    last = match[3] == "0" or headers.get("connection", "").lower() == "close"
    return Request(match[1], match[2], headers, last)
