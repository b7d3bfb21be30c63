"""HTTP to the update server and to where it points: one kept connection, blocking.

Blocking, because most of what is done with it is streaming to disk; it runs in worker threads.
``http.client`` costs the idle agent 1.4 MB; every fuller client costs several times that.
Redirects are never followed, and credentials go to the configured site alone.
"""

from __future__ import annotations

import email.utils
import http.client
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from flipside_agent.address import Site
from flipside_agent.errors import (
    AgentError,
    NetworkError,
    OperatorError,
    ServerError,
    Unavailable,
)

CONNECT_PATIENCE = 10.0
"""Seconds for a connection to be made, for each address of the host."""

LONGEST_RETRY_AFTER = 3600.0
"""Seconds; a server cannot silence a device for longer."""

_NOT_YET_VALID = 9  # X509_V_ERR_CERT_NOT_YET_VALID
_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED


@dataclass(frozen=True, slots=True)
class Identity:
    """How this device proves who it is, and how the server has to: for one site alone."""

    site: Site
    authorization: str = field(default="", repr=False)
    """Value of the ``Authorization`` header; empty for none."""
    ca: Path | None = None
    """The only authority the site is believed by; None for the system's."""
    certificate: Path | None = None
    key: Path | None = None

    def headers_for(self, site: Site) -> dict[str, str]:
        """Return the headers that prove this device, to its own site only."""
        if site != self.site or not self.authorization:
            return {}
        return {"Authorization": self.authorization}


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole, bounded answer."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class Link:
    """A connection to one site, made when needed and kept while it lasts."""

    def __init__(
        self, site: Site, identity: Identity, tls: ssl.SSLContext | None, patience: float
    ) -> None:
        self.site = site
        self._identity = identity
        self._tls = tls
        self._patience = patience
        self._connection: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._aborted = False

    def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> http.client.HTTPResponse:
        """Send a request and return the answer, its body still to be read."""
        wanted = {
            "User-Agent": "flipside-agent",
            **self._identity.headers_for(self.site),
            **(headers or {}),
        }
        with blamed(self.site):
            if self._connection is not None and self._connection.sock is not None:
                # A kept connection may have been closed meanwhile, which says nothing yet.
                with suppress(ConnectionError, ssl.SSLEOFError):
                    return _exchange(self._connection, method, target, wanted, body)
            self.close()
            self._connection = self._dial()
            return _exchange(self._connection, method, target, wanted, body)

    def close(self) -> None:
        """Let the connection go; for the thread that uses it."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._socket = None

    def abort(self) -> None:
        """End for good whatever waits on this connection; for any other thread."""
        self._aborted = True
        if self._socket is not None:
            with suppress(OSError):  # it may be closed already
                # Not SSLSocket's: that one takes the TLS state from under its reader.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _dial(self) -> http.client.HTTPConnection:
        plain = socket.create_connection((self.site.host, self.site.port), CONNECT_PATIENCE)
        plain.settimeout(self._patience)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = plain
        connection = http.client.HTTPConnection(self.site.host, self.site.port)
        if self._tls is not None:
            connection = http.client.HTTPSConnection(self.site.host, self.site.port)
            self._socket = self._tls.wrap_socket(plain, server_hostname=self.site.host)
        if self._aborted:
            self._socket.close()
            raise NetworkError(f"the connection to {self.site} was given up")
        connection.sock = self._socket
        return connection


def _exchange(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes | None,
) -> http.client.HTTPResponse:
    # A server that closes before it heard everything may have said why: listen all the same.
    with suppress(ConnectionError, ssl.SSLEOFError):
        connection.request(method, target, body=body, headers=dict(headers))
    return connection.getresponse()


class Transport:
    """Makes links that know who may be trusted and who may see the credentials."""

    def __init__(self, identity: Identity, patience: float = 30.0) -> None:
        self._identity = identity
        self._patience = patience
        self._contexts: dict[bool, ssl.SSLContext] = {}

    def link(self, site: Site) -> Link:
        """Return a link to a site, not yet connected."""
        tls = self._context(own=site == self._identity.site) if site.scheme == "https" else None
        return Link(site, self._identity, tls, self._patience)

    def _context(self, *, own: bool) -> ssl.SSLContext:
        if own not in self._contexts:
            self._contexts[own] = _tls_context(self._identity, own=own)
        return self._contexts[own]


def _tls_context(identity: Identity, *, own: bool) -> ssl.SSLContext:
    """Return what TLS needs towards the own site, or towards any other one.

    Another site never sees the client certificate. It may be known to the system's authorities
    or to our own one: a store for artifacts often stands beside the server.
    """
    try:
        context = ssl.create_default_context(cafile=identity.ca if own else None)
        if identity.ca is not None:
            # From Python 3.13 on this is set, and refuses what `openssl req -x509` makes. An update
            # must not cut a device off from its server because it brings a newer Python.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            if not own:
                context.load_verify_locations(identity.ca)
        if identity.certificate is not None and own:
            # An encrypted key would otherwise stop and ask on the terminal.
            context.load_cert_chain(identity.certificate, identity.key, password="")
    except (OSError, ssl.SSLError, ValueError) as error:
        named = ", ".join(str(p) for p in (identity.ca, identity.certificate, identity.key) if p)
        raise OperatorError(f"the TLS files {named} cannot be used: {error}") from error
    return context


def read_whole(
    response: http.client.HTTPResponse,
    site: Site,
    limit: int,
    deadline: float,
    clock: Callable[[], float] = time.monotonic,
) -> Answer:
    """Read an answer to its end, if that comes within ``limit`` bytes and before ``deadline``."""
    body = bytearray()
    with blamed(site):
        while piece := response.read1(limit + 1 - len(body)):
            body += piece
            if len(body) > limit:
                raise ServerError(f"{site} sent more than {limit} bytes, expected a short answer")
            if clock() > deadline:
                raise NetworkError(f"{site} was still sending when its time was up")
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        response.close()  # read1 leaves that open, and the connection with it
    return Answer(response.status, lowered(response), bytes(body))


def lowered(response: http.client.HTTPResponse) -> dict[str, str]:
    """Return an answer's headers with their names in lower case."""
    return {name.lower(): value for name, value in response.getheaders()}


def check_status(status: int, headers: Mapping[str, str], site: Site, what: str) -> None:
    """Raise the error of whoever is to blame unless an answer is a success."""
    if 200 <= status < 300:
        return
    said = f"{site} answered {status} to {what}"
    if 300 <= status < 400:
        where = headers.get("location", "")[:200]
        raise ServerError(f"{said}, a redirect to {where!r}: redirects are not followed")
    if status in (401, 403):
        raise OperatorError(f"{said}: it does not accept this device's name or credentials")
    if status == 429 or status >= 500:
        raise Unavailable(said, retry_after=retry_after(headers))
    raise ServerError(said)


def retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds that a ``Retry-After`` header asks for, clamped; 0 if it says nothing.

    A date is measured against the server's own ``Date``: the device's clock may know nothing yet.
    """
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return min(float(asked[:9]), LONGEST_RETRY_AFTER)
    try:
        then = email.utils.parsedate_to_datetime(asked)
        now = email.utils.parsedate_to_datetime(headers.get("date", ""))
        seconds = (then - now).total_seconds()
    except (ValueError, TypeError):  # no date, or one with and one without a zone
        return 0.0
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


@contextmanager
def blamed(site: Site) -> Iterator[None]:
    """Turn what sockets, TLS and HTTP raise into the error of whoever is to blame."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise _distrust(site, error) from error
    except ssl.SSLError as error:
        reason = error.reason or "TLS failed"
        if "ALERT" in reason and ("CERT" in reason or "UNKNOWN_CA" in reason):
            raise OperatorError(
                f"{site} does not accept this device's certificate: {reason}"
            ) from error
        raise NetworkError(f"TLS with {site} failed: {reason}") from error
    except http.client.IncompleteRead as error:
        raise NetworkError(f"{site} broke off in the middle of an answer") from error
    except TimeoutError as error:
        raise NetworkError(f"{site} did not answer in time") from error
    except OSError as error:  # refused, reset, no route, no such name
        reason = error.strerror or str(error)
        raise NetworkError(f"{site} cannot be reached: {reason}") from error
    except http.client.ImproperConnectionState:
        raise  # an answer left unread: our own mistake
    except http.client.HTTPException as error:
        raise ServerError(f"{site} sent no proper HTTP answer: {type(error).__name__}") from error


def _distrust(site: Site, error: ssl.SSLCertVerificationError) -> AgentError:
    """Return whose fault it is that a certificate does not convince, and never the operator's.

    All of it may pass: a captive portal shows its own certificate, one that ended is renewed, a
    clock is set. So an installation under way waits, which it would not for an operator.
    """
    today = time.strftime("%Y-%m-%d", time.gmtime())
    if error.verify_code == _NOT_YET_VALID:
        return NetworkError(
            f"this device's clock is not set: it says {today},"
            f" and the certificate of {site} is not valid yet"
        )
    if error.verify_code == _EXPIRED:
        return ServerError(
            f"the certificate of {site} has expired, unless this device's clock,"
            f" which says {today}, is wrong"
        )
    return ServerError(f"the certificate of {site} is not to be trusted: {error.verify_message}")
