"""A disk that is brought to one cut of its recording after the other, in place.

The writes that every later cut has as well are made for good; those that only this cut has are
undone behind it. So a cut costs what it changes, and not a copy of the disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flipside_qemu import sparse
from flipside_qemu.cuts import Cut
from flipside_qemu.fingerprint import Fingerprints, Stretch
from flipside_qemu.recording import Recording
from flipside_qemu.write_log import WriteLog


class Replay:
    """A file that is the disk, at the cut that was asked for last."""

    def __init__(self, file: int, log: WriteLog, prints: Fingerprints) -> None:
        self._file = file
        self._log = log
        self._kept = 0
        self.prints = prints
        """What tells two states of a partition apart without reading them."""

    @contextmanager
    def at(self, cut: Cut) -> Iterator[None]:
        """The disk as this cut leaves it, inside the context; cuts must come by rising ``kept``."""
        if cut.kept < self._kept:
            raise ValueError(f"cut {cut} after entry {self._kept}, expected cuts by rising kept")
        for number in range(self._kept, cut.kept):
            self._write(self._log.entries[number].start, self._log.data(number))
        self._kept = cut.kept
        prints = self.prints.all()
        before = [self._write(start, data) for start, data in self._extra(cut)]
        try:
            yield
        finally:
            for start, data in reversed(before):
                os.pwrite(self._file, data, start)
            self.prints.come_back(prints)

    def _extra(self, cut: Cut) -> Iterator[tuple[int, bytes]]:
        """What this cut alone has, as places and contents."""
        for number in cut.also:
            yield self._log.entries[number].start, self._log.data(number)
        first, last = (sector * self._log.sector for sector in cut.sectors)
        if last:
            yield self._log.entries[cut.at].start + first, self._log.data(cut.at)[first:last]

    def _write(self, start: int, data: bytes) -> tuple[int, bytes]:
        """Write, and return where and what was there before."""
        before = os.pread(self._file, len(data), start)
        os.pwrite(self._file, data, start)
        self.prints.change(start, before, data)
        return start, before


@contextmanager
def replaying(
    recording: Recording, target: Path, stretches: dict[str, Stretch]
) -> Iterator[Replay]:
    """A copy of the recorded disk as it was before its first write, to be brought to cuts."""
    sparse.copy(recording.base, target)
    file = os.open(target, os.O_RDWR | os.O_CLOEXEC)
    try:
        yield Replay(file, recording.log, Fingerprints(stretches, recording.log.sector))
    finally:
        os.close(file)
        target.unlink()
