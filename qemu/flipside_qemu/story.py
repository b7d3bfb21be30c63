"""The plot of the demo as data: what is shipped, what is wrong with it, what must come of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Flaw(StrEnum):
    """What is wrong with an image or its bundle."""

    NONE = "none"
    PANIC = "panic"
    SICK = "sick"
    AGENTLESS = "agentless"
    FORGED = "forged"


class Ending(StrEnum):
    """What comes of an update."""

    CONFIRMED = "confirmed"
    FELL_BACK = "fell back"
    ROLLED_BACK = "rolled back"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Chapter:
    """One update of the story."""

    version: str
    plot: str
    """What the spectator is about to see."""
    flaw: Flaw
    ending: Ending
    reason: str
    """What the server must be told, as a regular expression."""
    survivor: str
    """The version that runs afterwards."""

    @property
    def succeeds(self) -> bool:
        """The server must believe that the update succeeded."""
        return self.ending is Ending.CONFIRMED


FIRST = "1"

STORY = (
    Chapter(
        version="2",
        plot="a good update: installed, booted, checked, confirmed, and only then reported",
        flaw=Flaw.NONE,
        ending=Ending.CONFIRMED,
        reason="",
        survivor="2",
    ),
    Chapter(
        version="3",
        plot="its kernel panics: three tries, then the boot loader falls back",
        flaw=Flaw.PANIC,
        ending=Ending.FELL_BACK,
        reason="fell back",
        survivor="2",
    ),
    Chapter(
        version="4",
        plot="it boots, but a health check fails: rolled back, with the check's name",
        flaw=Flaw.SICK,
        ending=Ending.ROLLED_BACK,
        reason="pump-answers",
        survivor="2",
    ),
    Chapter(
        version="5",
        plot="its agent cannot start at all: the trial ends without it",
        flaw=Flaw.AGENTLESS,
        ending=Ending.FELL_BACK,
        reason="fell back",
        survivor="2",
    ),
    Chapter(
        version="6",
        plot="signed by somebody else: refused before anything is written",
        flaw=Flaw.FORGED,
        ending=Ending.REFUSED,
        reason="signature",
        survivor="2",
    ),
    Chapter(
        version="7",
        plot="a good update again",
        flaw=Flaw.NONE,
        ending=Ending.CONFIRMED,
        reason="",
        survivor="7",
    ),
)
