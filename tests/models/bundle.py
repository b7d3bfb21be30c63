"""Bundles laid out as RAUC's, with a payload of chance and a signature of anything."""

from __future__ import annotations

import random


def bundle_bytes(size: int, seed: int = 1, signature: bytes = b"") -> bytes:
    """Return a bundle of so many bytes: payload | signature | its length."""
    signature = signature or b"CMS %d " % seed * 200
    payload = size - len(signature) - 8
    return random.Random(seed).randbytes(payload) + signature + len(signature).to_bytes(8, "big")


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
