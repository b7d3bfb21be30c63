"""Fingerprints of parts of a disk that are kept up with every write, so that nothing is read.

A fingerprint is the exclusive or of a digest for each sector as it was at first and one as it is
now: 0 where nothing has changed, the same for the same content, whatever way it came about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the disk that is told apart: a partition."""

    start: int
    """Its first byte."""
    end: int
    """The first byte behind it."""


class Fingerprints:
    """The fingerprint of each stretch."""

    def __init__(self, stretches: Mapping[str, Stretch], sector: int) -> None:
        self._stretches = stretches
        self._sector = sector
        self._prints = dict.fromkeys(stretches, 0)

    def __getitem__(self, name: str) -> int:
        return self._prints[name]

    def all(self) -> dict[str, int]:
        """Every fingerprint, to come back to."""
        return dict(self._prints)

    def come_back(self, prints: Mapping[str, int]) -> None:
        """Everything is again as it was then."""
        self._prints = dict(prints)

    def change(self, start: int, old: bytes, new: bytes) -> None:
        """Take note of a write. One outside of all stretches is of no interest."""
        for name, stretch in self._stretches.items():
            if stretch.start <= start < stretch.end:
                self._prints[name] ^= difference(start, old, new, self._sector)


def difference(start: int, old: bytes, new: bytes, sector: int) -> int:
    """How the fingerprint changes when whole sectors from this byte on are overwritten."""
    changed = 0
    for place in range(0, len(new), sector):
        was, becomes = old[place : place + sector], new[place : place + sector]
        if was != becomes:
            changed ^= _digest(start + place, was) ^ _digest(start + place, becomes)
    return changed


def filled(base: Path, start: int, content: Path, sector: int) -> int:
    """The fingerprint of a stretch of this disk that has exactly this content laid into it."""
    changed = 0
    with base.open("rb") as disk, content.open("rb") as file:
        disk.seek(start)
        while new := file.read(_PIECE):
            changed ^= difference(start, disk.read(len(new)), new, sector)
            start += len(new)
    return changed


def _digest(place: int, content: bytes) -> int:
    where = place.to_bytes(16, "little")
    return int.from_bytes(hashlib.blake2b(content, digest_size=16, person=where).digest(), "little")
