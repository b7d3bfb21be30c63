"""The signature tail of a bundle: what RAUC is shown first, and what binds all the rest.

A verity bundle is laid out as squashfs | hash tree | CMS | length of the CMS (8 bytes, big-endian).
The CMS holds the manifest, the manifest holds the root of the hash tree, and the hash tree covers
the squashfs: whoever is shown the same tail and size installs the same bundle.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from flipside_agent.errors import UpdateError

LENGTH_BYTES = 8
LONGEST_SIGNATURE = 64 * 1024
"""RAUC's own limit where system.conf does not say otherwise (``max-bundle-signature-size``)."""

LONGEST_TAIL = LONGEST_SIGNATURE + LENGTH_BYTES


_SIGNING_TIME = bytes.fromhex("06092a864886f70d010905")  # RFC 5652, 11.3, as DER


class Source(Protocol):
    """Bytes of one bundle, wherever they come from; called from worker threads."""

    @property
    def size(self) -> int: ...
    def read(self, offset: int, length: int, deadline: float) -> bytes:
        """Return exactly these bytes, waiting for them until ``deadline`` (monotonic clock)."""
        ...


def tail_of(ending: bytes, size: int) -> bytes:
    """Return the tail of a bundle of ``size`` bytes that ends in ``ending``."""
    signature = int.from_bytes(ending[-LENGTH_BYTES:], "big")
    if signature > LONGEST_SIGNATURE:
        raise UpdateError(
            f"the bundle ends in a signature length of {signature} bytes,"
            f" expected at most {LONGEST_SIGNATURE}: it is not a signed RAUC bundle,"
            " or not all of one"
        )
    tail = signature + LENGTH_BYTES
    if signature == 0 or tail > len(ending) or tail >= size:
        raise UpdateError(
            f"the bundle of {size} bytes ends in a signature length of {signature} bytes,"
            " which does not fit into it: it is not a signed RAUC bundle, or not all of one"
        )
    return ending[-tail:]


def check_signing_time(tail: bytes) -> None:
    """Refuse a signature that does not say when it was made.

    With ``use-bundle-signing-time`` RAUC up to 1.15 looks there before it looks at anything else,
    and crashes if there is nothing (rauc/rauc#1966). This keeps it alive; it proves nothing.
    """
    if _SIGNING_TIME not in tail:
        raise UpdateError(
            "the bundle's signature does not say when it was signed, so nobody can tell whether"
            " its signer was allowed to then; sign it anew"
        )


def digest_of(tail: bytes) -> str:
    """Return the digest that pins a tail, lower-case hex."""
    return hashlib.sha256(tail).hexdigest()


@dataclass(frozen=True, slots=True)
class Pinned:
    """A source whose signature tail can no longer change under the reader."""

    source: Source
    tail: bytes

    @property
    def size(self) -> int:
        """Bytes of the whole bundle."""
        return self.source.size

    def read(self, offset: int, length: int, deadline: float) -> bytes:
        """Return these bytes: the tail from memory, everything else from the source."""
        border = self.size - len(self.tail)
        before = min(length, max(0, border - offset))
        payload = self.source.read(offset, before, deadline) if before else b""
        start = max(0, offset - border)
        return payload + self.tail[start : start + length - before]
