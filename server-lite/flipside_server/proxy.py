"""What a trusted proxy in front of the server says of a request; from anybody else, nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from flipside_server.admission import CERTIFICATE, ClientCertificate, Papers
from flipside_server.errors import OperatorError

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Proxy:
    """Which proxies are believed, and what."""

    trusted: tuple[Network, ...] = ()
    certificate_header: str = ""
    """Header with the common name of a certificate that the proxy verified; empty for none."""


NO_PROXY = Proxy()


@dataclass(frozen=True, slots=True)
class Front:
    """The server as the device sees it."""

    scheme: str
    host: str
    """With its port if that is not the scheme's own."""


def checked_header(name: str) -> str:
    """The name of a header, if nothing else can be folded into the same WSGI key."""
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,63}", name) is None:
        raise OperatorError(f"the header {name!r} cannot be used: give letters, digits and -")
    return name


def front(proxy: Proxy, environ: Mapping[str, Any]) -> Front:
    """Where the device asked, before any proxy."""
    scheme, host = environ["wsgi.url_scheme"], environ.get("HTTP_HOST", "")
    if not _trusts(proxy, environ):
        return Front(scheme, host)
    forwarded = _last(environ, "HTTP_X_FORWARDED_PROTO").lower()
    if forwarded in ("http", "https"):
        scheme = forwarded
    return Front(scheme, _host(environ, host))


def papers(proxy: Proxy, environ: Mapping[str, Any]) -> Papers:
    """What the request shows of its sender."""
    authorization = environ.get("HTTP_AUTHORIZATION", "")
    certificate = environ.get(CERTIFICATE)
    if proxy.certificate_header and _trusts(proxy, environ):
        # The proxy's own certificate speaks for the proxy, not for a device.
        name = environ.get(_key(proxy.certificate_header), "")
        certificate = ClientCertificate(name) if name else None
    return Papers(authorization, certificate)


def _host(environ: Mapping[str, Any], host: str) -> str:
    host = _last(environ, "HTTP_X_FORWARDED_HOST") or host
    port = _last(environ, "HTTP_X_FORWARDED_PORT")
    named = ":" in host.rpartition("]")[2]
    if not port or named or port == {"http": "80", "https": "443"}.get(_scheme(environ)):
        return host
    return f"{host}:{port}"


def _scheme(environ: Mapping[str, Any]) -> str:
    return _last(environ, "HTTP_X_FORWARDED_PROTO").lower() or str(environ["wsgi.url_scheme"])


def _last(environ: Mapping[str, Any], key: str) -> str:
    # Proxies append: what comes last was written by the one that we trust.
    return str(environ.get(key, "")).rpartition(",")[2].strip()


def _key(header: str) -> str:
    return "HTTP_" + header.upper().replace("-", "_")


def _trusts(proxy: Proxy, environ: Mapping[str, Any]) -> bool:
    return bool(proxy.trusted) and _within(proxy.trusted, environ.get("REMOTE_ADDR", ""))


@lru_cache(maxsize=1024)
def _within(trusted: tuple[Network, ...], address: str) -> bool:
    try:
        peer = ip_address(address)
    except ValueError:
        return False
    return any(peer in network for network in trusted)
