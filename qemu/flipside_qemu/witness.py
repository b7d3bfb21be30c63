"""Listens to a device's console: counts what matters, and passes on what a spectator wants."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

_TRIAL = re.compile(r"^flipside: slot (\w+) flipside\.trial=1")
_PANIC = re.compile(r"Kernel panic - not syncing")
_FETCHED = re.compile(r"bundle bytes: (\d+) fetched")
_WORDS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^flipside: (slot \w+) flipside\.trial=1"), r"boot loader: \1, on trial"),
    (re.compile(r"^flipside: (.+)"), r"boot loader: \1"),
    (re.compile(r"flipside-agent\[\d+\]: (?:flipside: )?(.+)"), r"\1"),
    (re.compile(r"echo\[\d+\]: flipside: (.+)"), r"\1"),
    (re.compile(r"(Kernel panic - .+)"), r"\1"),
)
"""What a spectator wants to read, and how it is said to him."""


@dataclass(slots=True)
class Witness:
    """What was seen on a console since :meth:`forget`."""

    pass_on: Callable[[str], None]
    trials: int = 0
    """Trial boots that the boot loader announced."""
    panics: int = 0
    """Panics of the kernel."""
    fetched: int = 0
    """Bytes of bundles that the agent says it fetched over the network."""
    _last: str = field(default="")

    def hear(self, line: str) -> None:
        """One more line."""
        self.trials += bool(_TRIAL.search(line))
        self.panics += bool(_PANIC.search(line))
        if found := _FETCHED.search(line):
            self.fetched += int(found[1])
        shown = _told(line)
        if shown and shown != self._last:
            self.pass_on(shown)
            self._last = shown

    def forget(self) -> None:
        """Begin to count anew."""
        self.trials = self.panics = self.fetched = 0


def _told(line: str) -> str:
    """The line in a spectator's words; empty if it is not for him."""
    for pattern, words in _WORDS:
        if found := pattern.search(line):
            return found.expand(words).strip()
    return ""
