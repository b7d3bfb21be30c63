"""Addresses on the web, and whether two of them are the same party."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_PRINTABLE = re.compile(r"[!-~]{1,2048}")
_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Site:
    """A party on the web: RFC 6454's origin. Credentials belong to exactly one."""

    scheme: str
    """``http`` or ``https``."""
    host: str
    """Lower case; an IPv6 address without brackets."""
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        named = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{named}"


@dataclass(frozen=True, slots=True)
class Address:
    """An http(s) URL in its two halves: whom to ask, and for what."""

    site: Site
    target: str
    """Path and query, never empty."""


def address_of(url: str) -> Address | None:
    """Return the address that a URL names, or None if it is not a plain http(s) URL.

    A user name in it, a blank, a control character or an unusual host make it not plain: it may
    come from a stranger, and ends up in request lines and logs.
    """
    if not _PRINTABLE.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname or ""
    if parts.scheme not in _DEFAULT_PORTS or "@" in parts.netloc or not _HOST.fullmatch(host):
        return None
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # Zero is what no server listens on.
    if port == 0:
        return None
    return Address(Site(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme]), target)
