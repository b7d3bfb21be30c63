"""A bundle at the server: ranges of it, each checked to be of one and the same bundle."""

from __future__ import annotations

import http.client
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from flipside_agent.address import Address, Site
from flipside_agent.errors import NetworkError, ServerError, UpdateError
from flipside_agent.ranges import Range, content_range, range_header
from flipside_agent.transport import Link, blamed, check_status, lowered

LONGEST_PIECE = 64 << 10
"""Bytes taken from a socket at a time; more are seldom there, and would be allocated for."""

MOST_PIECES = 512
"""Pieces in a batch; a file takes no more than 1,024 at once (IOV_MAX)."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a server says of the form in which it has a bundle; another form is another bundle."""

    etag: str
    modified: str

    @property
    def condition(self) -> dict[str, str]:
        """The header that asks for a range of this form only (RFC 9110, 13.1.5)."""
        strong = self.etag.startswith('"')
        return {"If-Range": self.etag} if strong else {}


NO_FORM = Form("", "")


def form_of(
    status: int, headers: Mapping[str, str], wanted: Range, size: int, known: Form | None
) -> Form:
    """Return the form in which a server gives the wanted range, or raise why it does not."""
    form = Form(headers.get("etag", "")[:256], headers.get("last-modified", "")[:64])
    # An answer of no form at all is somebody else's page: a proxy's, or a portal's.
    if known is not None and form != known and (status == 206 or form != NO_FORM):
        raise UpdateError("the bundle changed at the server while it was being fetched")
    if status == 416:
        raise UpdateError(f"the bundle at the server ends before byte {wanted.stop} of {size}")
    if status != 206:
        raise ServerError("the server gives the bundle only whole, expected ranges of it")
    given, whole = content_range(headers.get("content-range", ""))
    if whole != size:
        raise UpdateError(f"the server offered a bundle of {size} bytes but has one of {whole}")
    if given != wanted:
        raise ServerError(
            f"the server gave bytes {given.start} to {given.stop}"
            f" when asked for {wanted.start} to {wanted.stop}"
        )
    return form


class Download:
    """The body of one range, read as it comes."""

    def __init__(self, response: http.client.HTTPResponse, wanted: Range, site: Site) -> None:
        self._response = response
        self._left = wanted.length
        self._site = site

    def batch(self, longest: int, soon: float = math.inf) -> list[bytes]:
        """Return the next bytes: so many, or fewer if the range ends or it is ``soon`` before.

        They come in the pieces in which they were received: joining them would be for nothing.
        What came before the connection broke is returned; the next call says that it broke.
        """
        pieces: list[bytes] = []
        wanted = min(longest, self._left)
        try:
            with blamed(self._site):
                while wanted > 0 and len(pieces) < MOST_PIECES and time.monotonic() < soon:
                    piece = self._response.read1(min(wanted, LONGEST_PIECE))
                    if not piece:
                        raise ConnectionResetError("the connection ended")
                    pieces.append(piece)
                    wanted -= len(piece)
                    self._left -= len(piece)
        except NetworkError:
            if not pieces:
                raise
        return pieces

    def end(self) -> None:
        """Leave the connection to the next request; for a range that was read to its end."""
        self._response.close()


class Remote:
    """One bundle at the server."""

    def __init__(self, address: Address, size: int) -> None:
        self.size = size
        self._address = address
        self._form: Form | None = None

    def open(self, link: Link, wanted: Range) -> Download:
        """Ask for a range; what comes back is of the form that was seen first."""
        condition = self._form.condition if self._form else {}
        headers = {"Range": range_header(wanted), **condition}
        response = link.ask("GET", self._address.target, headers)
        given = lowered(response)
        if response.status not in (200, 206, 416):
            check_status(response.status, given, link.site, "the request for the bundle")
        self._form = form_of(response.status, given, wanted, self.size, self._form)
        return Download(response, wanted, link.site)

    def fetch(self, link: Link, wanted: Range) -> bytes:
        """Return a whole range; for short ones."""
        download = self.open(link, wanted)
        fetched = bytearray()
        while len(fetched) < wanted.length:
            fetched += b"".join(download.batch(wanted.length))
        download.end()
        return bytes(fetched)
