"""Requests of model devices as bytes; made once where they are sent often."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from flipside_agent import ddi
from flipside_agent.address import Address


class Kind(StrEnum):
    """What a request is for; figures are kept by it."""

    POLL = "poll"
    DEPLOYMENT = "deployment"
    CANCEL = "cancel"
    FEEDBACK = "feedback"
    ATTRIBUTES = "attributes"
    DOWNLOAD = "download"
    INSTALLED = "installed"
    REGISTRATION = "registration"


@dataclass(frozen=True, slots=True)
class Caller:
    """One device, as its requests show it."""

    home: Address
    """The device's base resource."""
    authorization: str = field(default="", repr=False)
    """Value of the ``Authorization`` header; empty for none."""
    kept: bool = False
    """The connection is to be kept for the next request; our agent does not."""

    def ask(self, path: str, method: str = "GET") -> bytes:
        """Ask for a resource below the base."""
        return self._head(method, self.home.target + path, {"Accept": "application/json"}) + b"\r\n"

    def tell(self, method: str, path: str, document: Mapping[str, object]) -> bytes:
        """Send a document to a resource below the base."""
        body = json.dumps(document).encode()
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }
        return self._head(method, self.home.target + path, headers) + b"\r\n" + body

    def fetch(
        self, place: Address, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> bytes:
        """Ask for a file, wherever it is; credentials go to the device's own server alone."""
        own = place.site == self.home.site
        head = self._head(method, place.target, headers or {}, host=_host(place), proved=own)
        return head + b"\r\n"

    def _head(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        host: str = "",
        *,
        proved: bool = True,
    ) -> bytes:
        proof = {"Authorization": self.authorization} if proved and self.authorization else {}
        lines = {
            "Host": host or _host(self.home),
            "User-Agent": "flipside-fleet",
            "Connection": "keep-alive" if self.kept else "close",
            **proof,
            **headers,
        }
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{method} {target} HTTP/1.1\r\n{text}".encode("latin-1")


def caller(
    server: Address, tenant: str, name: str, authorization: str = "", *, kept: bool = False
) -> Caller:
    """The device of this name at this server."""
    root = server.target.rstrip("/")
    home = Address(server.site, root + ddi.base_path(tenant, name))
    return Caller(home, authorization, kept)


def _host(place: Address) -> str:
    """RFC 9110, 7.2: with the port unless it is the scheme's own."""
    return str(place.site).partition("://")[2]
