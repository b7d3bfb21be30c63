"""Which power cuts of a recording are tried: every boundary, and what a disk may do in between.

Between two flushes a disk may write what it was given in any order, and at a cut leave out any of
it. All subsets are too many, so of every epoch these are taken: each prefix; everything but one
write; one write alone; some at random; and writes torn between two sectors. Long epochs are bulk
copies, whose writes are alike: of those a sample is drawn, prefixes excepted.

A write is torn behind sectors that it changes, because only there does it make a difference: a boot
loader's driver writes 64 KiB of a directory for one name in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from flipside_qemu.recording import Recording
from flipside_qemu.write_log import Epoch

SAMPLE = 40
"""Writes of one epoch that are singled out, at most."""
RANDOM = 12
"""Random subsets of one epoch that has more than two writes."""
TEARS = 7
"""Places at which one write is torn, at most: all of them in a file system's block of eight
sectors, which may hold a structure that is shorter."""


class Kind(StrEnum):
    """How a cut picks among the writes that were not flushed."""

    UP_TO = "up to"
    WITHOUT = "without"
    ONLY = "only"
    SOME = "some of"
    TORN = "torn"


@dataclass(frozen=True, slots=True)
class Cut:
    """A moment at which the power fails: what is on the disk then."""

    kind: Kind
    kept: int
    """So many entries of the log are on the disk, the first ones."""
    at: int
    """The entry that it is about: the last one, the missing one, the only one, the torn one."""
    also: tuple[int, ...] = ()
    """Later entries that are on the disk as well."""
    sectors: tuple[int, int] = (0, 0)
    """Of a torn write: the first of its sectors that is on the disk, and the first that is not."""

    def __str__(self) -> str:
        match self.kind:
            case Kind.SOME:
                return f"some of {self.kept}..{self.at}: {' '.join(map(str, self.also)) or 'none'}"
            case Kind.TORN:
                return f"torn {self.at}, sectors {self.sectors[0]} to {self.sectors[1] - 1} of it"
            case _:
                return f"{self.kind} {self.at}"


def of(recording: Recording, seed: int) -> list[Cut]:
    """The cuts of a recording, by rising ``kept``; the same ones for the same one and seed."""
    random = Random(seed)  # noqa: S311 - it draws samples, not secrets
    cuts = [cut for epoch in recording.log.epochs() for cut in _of(recording, epoch, random)]
    return [Cut(Kind.UP_TO, 0, 0), *sorted(cuts, key=lambda cut: cut.kept)]


def _of(recording: Recording, epoch: Epoch, random: Random) -> Iterator[Cut]:
    entries = recording.log.entries
    writes = [number for number in range(epoch.first, epoch.last) if entries[number].length]
    for number in writes:
        yield Cut(Kind.UP_TO, number + 1, number)
    chosen = sorted(random.sample(writes, min(SAMPLE, len(writes))))
    if len(writes) > 1:
        for number in chosen:
            yield Cut(Kind.WITHOUT, number, number, tuple(w for w in writes if w > number))
            yield Cut(Kind.ONLY, epoch.first, number, (number,))
    if len(writes) > 2:
        for _ in range(RANDOM):
            some = tuple(number for number in writes if random.random() < 0.5)
            yield Cut(Kind.SOME, epoch.first, writes[-1], some)
    for number in chosen:
        yield from _torn(recording, number, random)


def _torn(recording: Recording, number: int, random: Random) -> Iterator[Cut]:
    """A write of which only the first sectors are on the disk; and once, only the last ones."""
    sectors = recording.log.entries[number].length // recording.log.sector
    places = [sector + 1 for sector in recording.changed(number)[:-1]]
    places = random.sample(places, min(TEARS, len(places)))
    for place in sorted(places):
        yield Cut(Kind.TORN, number, number, sectors=(0, place))
    for place in places[:1]:
        yield Cut(Kind.TORN, number, number, sectors=(place, sectors))
