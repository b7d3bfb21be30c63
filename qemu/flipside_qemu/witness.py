"""Listens to a device's console: counts what matters, and passes on what a spectator wants."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

_TRIAL = re.compile(r"^flipside: slot (\w+) flipside\.trial=1")
_PANIC = re.compile(r"Kernel panic - not syncing")
_SHOWN = re.compile(
    r"^flipside|flipside-agent|Kernel panic|Linux version|systemd\[1\]: (Started|Failed)"
)
_STAMP = re.compile(r"^\[ *[\d.]+\] ?|^\w{3} \d+ [\d:]+ \S+ ")


@dataclass(slots=True)
class Witness:
    """What was seen on a console since :meth:`forget`."""

    pass_on: Callable[[str], None]
    trials: int = 0
    """Trial boots that the boot loader announced."""
    panics: int = 0
    """Panics of the kernel."""
    _last: str = field(default="")

    def hear(self, line: str) -> None:
        """One more line."""
        self.trials += bool(_TRIAL.search(line))
        self.panics += bool(_PANIC.search(line))
        if _SHOWN.search(line):
            shown = _STAMP.sub("", line).strip()
            if shown != self._last:
                self.pass_on(shown)
            self._last = shown

    def forget(self) -> None:
        """Begin to count anew."""
        self.trials = self.panics = 0
