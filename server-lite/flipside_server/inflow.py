"""A body that the application reads while the client still sends it, in bounded memory."""

from __future__ import annotations

import threading
from collections.abc import Callable

_MOST = 4 << 20
"""Bytes that may wait for the application; the client is held back then."""


class Inflow:
    """A WSGI input: one thread feeds it, another reads from it."""

    def __init__(self, hold: Callable[[], None], release: Callable[[], None]) -> None:
        self._hold = hold
        self._release = release
        self._buffer = bytearray()
        self._changed = threading.Condition()
        self._ended = False
        self._held = False

    def feed(self, data: bytes) -> None:
        """More of the body has come."""
        with self._changed:
            self._buffer += data
            self._changed.notify()
            full = not self._held and len(self._buffer) > _MOST
            self._held = self._held or full
        if full:
            self._hold()

    def end(self) -> None:
        """The body is whole, or the client is gone: no more will come."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def read(self, size: int = -1) -> bytes:
        """What there is, up to so many bytes; nothing only at the end. All of it without a size."""
        if size < 0:
            return b"".join(iter(lambda: self.read(_MOST), b""))
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._buffer)
            return self._taken(size)

    def readline(self, size: int = -1) -> bytes:
        """A line, or so much of it."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._ended or b"\n" in self._buffer or 0 <= size <= len(self._buffer)
            )
            end = self._buffer.find(b"\n") + 1 or len(self._buffer)
            return self._taken(end if size < 0 else min(end, size))

    def _taken(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        if self._held and len(self._buffer) < _MOST // 2:
            self._held = False
            self._release()
        return data
