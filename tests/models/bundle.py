"""Bundles laid out as RAUC's, with a payload of chance and a signature that binds it."""

from __future__ import annotations

import hashlib
import random

SIGNING_TIME = bytes.fromhex("06092a864886f70d010905")
"""How a CMS announces the time at which it was made."""


def bundle_bytes(size: int, seed: int = 1, signature: bytes = b"") -> bytes:
    """Return a bundle of so many bytes: payload | signature | its length.

    Unless another one is given, the signature speaks of the payload, as a CMS does.
    """
    length = len(signature) or 1200
    payload = random.Random(seed).randbytes(size - length - 8)
    signature = signature or signature_of(payload)
    return payload + signature + length.to_bytes(8, "big")


def signature_of(payload: bytes) -> bytes:
    """Return the model's signature of a payload."""
    digest = hashlib.sha256(payload).hexdigest().encode()
    return (SIGNING_TIME + digest).ljust(1200, b".")


def manifest_hash(bundle: bytes) -> str:
    """Return what the model's RAUC calls the manifest hash of a bundle."""
    return hashlib.sha256(bundle[-1208:-8]).hexdigest()


class ModelSource:
    """A bundle that is simply there, unless told otherwise."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)
        self.error: Exception | None = None
        self.deadlines: list[float] = []

    def read(self, offset: int, length: int, deadline: float) -> bytes:
        """Return these bytes, or raise what was laid ready."""
        self.deadlines.append(deadline)
        if self.error is not None:
            raise self.error
        return self.content[offset : offset + length]
