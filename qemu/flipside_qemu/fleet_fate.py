"""What the world has in store for a model device: drawn from a seed, the same in every run.

A number is a digest of the seed, the device's name and what it is drawn for, not the next one of a
series: in whatever order things happen on the wire, the same devices fail in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b


class Fate(StrEnum):
    """What becomes of an image on a device."""

    GOOD = "good"
    FAILING = "failing"
    """The installation fails: the payload is not what was signed."""
    SICK = "sick"
    """It comes up, and a health check fails."""
    DEAD = "dead"
    """It never comes up, so the boot loader falls back."""


@dataclass(frozen=True, slots=True)
class Odds:
    """How often what happens; shares of all updates, 0 to 1."""

    fail: float = 0.0
    sick: float = 0.0
    fallback: float = 0.0
    cut: float = 0.0
    """The power fails once in the middle of the installation; the update goes on afterwards."""


@dataclass(frozen=True, slots=True)
class Dice:
    """Everything that is left to chance in the life of one device."""

    seed: int
    device: str

    def roll(self, *subject: object) -> float:
        """The number from 0 up to 1 that was always meant for this subject."""
        words = "/".join(map(str, (self.seed, self.device, *subject)))
        return int.from_bytes(blake2b(words.encode(), digest_size=6).digest()) / 2**48

    def around(self, seconds: float, *subject: object) -> float:
        """So many seconds, a quarter more or less: no two devices take equally long."""
        return seconds * (0.75 + self.roll(*subject) / 2)


def fate(odds: Odds, dice: Dice, update: int) -> Fate:
    """What becomes of the device's first, second, ... update."""
    roll = dice.roll("fate", update)
    shares = ((Fate.FAILING, odds.fail), (Fate.SICK, odds.sick), (Fate.DEAD, odds.fallback))
    for one, share in shares:
        if roll < share:
            return one
        roll -= share
    return Fate.GOOD


def cut(odds: Odds, dice: Dice, update: int) -> float | None:
    """How far, from 0 to 1, the installation has come when the power fails; None if it does not."""
    return dice.roll("place", update) if dice.roll("cut", update) < odds.cut else None
