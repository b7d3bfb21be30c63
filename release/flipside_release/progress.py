"""One line on a terminal that says how far the work has come; elsewhere silence."""

from __future__ import annotations

import sys


class ProgressLine:
    """A percentage that is rewritten in place and wiped at the end."""

    def __init__(self, task: str) -> None:
        self._task = task
        self._shown = -1

    def __call__(self, done: int, total: int) -> None:
        """Show how much of the total is done, at every whole per cent."""
        percent = 100 * done // total
        if percent != self._shown and sys.stderr.isatty():
            self._shown = percent
            ending = "\r\x1b[K" if done >= total else ""
            sys.stderr.write(f"\r{self._task}: {percent} %{ending}")
            sys.stderr.flush()
