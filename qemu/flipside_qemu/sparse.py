"""Copies of a stretch of a file that leave its holes alone: a disk is mostly holes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def copy(source: Path, target: Path, start: int = 0, length: int | None = None) -> None:
    """Write a stretch of the source, all of it unless said otherwise, to a new target."""
    with source.open("rb") as old, target.open("wb") as new:
        size = os.fstat(old.fileno()).st_size - start if length is None else length
        new.truncate(size)
        for first, last in _stretches(old.fileno(), start, start + size):
            _copy(old.fileno(), new.fileno(), first, last, first - start)


def _stretches(file: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where there is data between two offsets."""
    while start < end:
        try:
            first = os.lseek(file, start, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole up to the end (lseek(2))
            return
        start = os.lseek(file, first, os.SEEK_HOLE)
        if first < end:
            yield first, min(start, end)


def _copy(old: int, new: int, first: int, last: int, place: int) -> None:
    while first < last:
        done = os.copy_file_range(old, new, last - first, first, place)
        if not done:
            return
        first, place = first + done, place + done
