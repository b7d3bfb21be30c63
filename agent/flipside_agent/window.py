"""Where fetched bytes of a bundle wait for RAUC when there is no room on disk: a little memory."""

from __future__ import annotations

from collections.abc import Sequence

from flipside_agent.ranges import Range, Ranges, add

CAPACITY = 4 << 20
"""Bytes kept; the oldest are forgotten, and fetched again should RAUC come back to them."""


class Window:
    """The last few mebibytes that were fetched."""

    ahead = CAPACITY // 4
    """Bytes worth fetching before they are asked for."""

    def __init__(self) -> None:
        self._pieces: dict[int, bytes] = {}
        self._kept = 0
        self.held: Ranges = ()
        """Replaced, never changed: may be read from any thread."""

    def write(self, offset: int, pieces: Sequence[bytes]) -> None:
        """Keep pieces that follow upon each other, at the cost of the oldest ones."""
        piece = b"".join(pieces)
        self._forget(offset)
        self._pieces[offset] = piece
        self._kept += len(piece)
        while self._kept > CAPACITY and len(self._pieces) > 1:
            self._forget(next(iter(self._pieces)))
        held: Ranges = ()
        for start, kept in self._pieces.items():
            held = add(held, Range(start, start + len(kept)))
        self.held = held

    def read(self, wanted: Range) -> bytes:
        """Return bytes that are held."""
        found = bytearray(wanted.length)
        for start, piece in self._pieces.items():
            first, last = max(start, wanted.start), min(start + len(piece), wanted.stop)
            if first < last:
                found[first - wanted.start : last - wanted.start] = piece[
                    first - start : last - start
                ]
        return bytes(found)

    def settle(self) -> None:
        """Do nothing: memory does not settle."""

    def close(self) -> None:
        """Forget everything."""
        self._pieces = {}
        self.held = ()

    def _forget(self, offset: int) -> None:
        self._kept -= len(self._pieces.pop(offset, b""))
