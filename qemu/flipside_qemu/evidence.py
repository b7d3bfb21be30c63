"""What console, RAUC and server say of one update, and whether they agree with the story.

Pure: facts in, contradictions out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from flipside_qemu.story import Chapter, Ending


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found out about one update, each from the one who knows."""

    running: str
    """Version of the system that answers on the console."""
    booted: str
    """Bootname of its slot, from the kernel command line."""
    target: str
    """Bootname of the slot that the update was meant for."""
    target_state: str
    """RAUC's boot status of that slot: good or bad."""
    target_version: str
    """Version of the bundle that RAUC last wrote to that slot completely."""
    target_unchanged: bool
    """The slot holds byte for byte what it held before."""
    server_state: str
    """The action's state at the server."""
    server_words: str
    """The last thing the device told the server about it."""
    panics: int
    """Kernel panics on the console meanwhile."""
    trials: int
    """Trial boots that the boot loader announced meanwhile."""
    fetched: int
    """Bytes of bundles that the agent says it fetched meanwhile."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the final table."""

    chapter: Chapter
    happened: str
    why: str
    seconds: float
    fetched: int
    """Bytes that the device fetched for it."""
    contradictions: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Everybody agrees with the story."""
        return not self.contradictions


def contradictions(chapter: Chapter, facts: Facts) -> tuple[str, ...]:
    """Everything in which the facts differ from the story; nothing if they agree."""
    found = []
    if facts.running != chapter.survivor:
        found.append(f"version {facts.running} runs, expected {chapter.survivor}")
    wanted = "finished" if chapter.succeeds else "error"
    if facts.server_state != wanted:
        found.append(f"the server says {facts.server_state}, expected {wanted}")
    if not re.search(chapter.reason, facts.server_words, re.IGNORECASE):
        found.append(f"the server was told {facts.server_words!r}, expected {chapter.reason!r}")
    if not facts.fetched:
        found.append("the agent does not say that it fetched anything")
    return (*found, *_ENDINGS[chapter.ending](chapter, facts))


def _confirmed(chapter: Chapter, facts: Facts) -> list[str]:
    found = []
    if facts.booted != facts.target:
        found.append(f"slot {facts.booted} is booted, expected {facts.target}")
    if facts.target_state != "good":
        found.append(f"RAUC says slot {facts.target} is {facts.target_state}, expected good")
    if facts.target_version != chapter.version:
        found.append(f"RAUC wrote {facts.target_version}, expected {chapter.version}")
    return found


def _returned(chapter: Chapter, facts: Facts) -> list[str]:
    found = []
    if facts.booted == facts.target:
        found.append(f"slot {facts.booted} is booted, expected the other one")
    if facts.target_state != "bad":
        found.append(f"RAUC says slot {facts.target} is {facts.target_state}, expected bad")
    if facts.target_version != chapter.version:
        found.append(f"RAUC wrote {facts.target_version}, expected {chapter.version}")
    if facts.trials == 0:
        found.append("no trial boot was announced on the console")
    return found


def _fell_back(chapter: Chapter, facts: Facts) -> list[str]:
    found = _returned(chapter, facts)
    if facts.trials != 3:
        found.append(f"{facts.trials} trial boots, expected 3")
    if (facts.panics > 0) != (chapter.flaw.value == "panic"):
        found.append(f"{facts.panics} kernel panics on the console")
    return found


def _refused(chapter: Chapter, facts: Facts) -> list[str]:
    found = []
    if not facts.target_unchanged:
        found.append(f"slot {facts.target} was written to, expected it untouched")
    if facts.target_version == chapter.version:
        found.append(f"RAUC says it wrote {chapter.version}")
    if facts.trials:
        found.append(f"{facts.trials} trial boots, expected none")
    return found


_ENDINGS = {
    Ending.CONFIRMED: _confirmed,
    Ending.FELL_BACK: _fell_back,
    Ending.ROLLED_BACK: _returned,
    Ending.REFUSED: _refused,
}
