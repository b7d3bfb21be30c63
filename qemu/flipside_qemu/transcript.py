"""What a console has shown since its device was switched on, with stamps in a file."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from flipside_qemu.alarms import KERNEL_PREFIX, Alarm, alarm_in, tells_lost_shell
from flipside_qemu.deadline import Deadline

_PROMPT = re.compile(r"(?:^|.*[^#$])[#$] $|^.*login: $")
_FROM_KERNEL = re.compile(KERNEL_PREFIX)
_INTERRUPTED = re.compile(KERNEL_PREFIX + r".*$")


class Transcript:
    """Text that one thread adds to and another waits in; it judges each line as it comes.

    Reading has a thread of its own, because a serial line that nobody reads stops the device, and
    because stamps and alarms have to be true while the test is busy elsewhere.
    """

    def __init__(self, log: Path, hear: Callable[[str], None] | None = None) -> None:
        self._log = log
        self._hear = hear
        self._changed = threading.Condition()
        self._line = ""
        self.text = ""
        self.open = False
        self.prompted = False
        """Whether something that may be a shell has asked for input since the last boot."""
        self.lost_shell = ""
        """The last line that told of a lost shell; cleared by whoever has found a new one."""
        self.alarm: tuple[Alarm, str] | None = None
        self.expected: frozenset[Alarm] = frozenset()

    def begin(self) -> None:
        """Start a new text: the device has just been connected."""
        with self._changed:
            self.text = self._line = self.lost_shell = ""
            self.prompted = False
            self.open = True

    def add(self, text: str) -> None:
        """Take in what the console has just shown."""
        with self._changed:
            self.text += text
            self._record("".join(map(self._take, text.splitlines(keepends=True))))
            self._changed.notify_all()

    def note(self, sentence: str) -> None:
        """Write a line of the harness's own into the log, not into the text."""
        with self._changed:
            cut, resumed = ("\n", f"{_stamp()} . ") if self._line else ("", "")
            self._record(f"{cut}{_stamp()} = {sentence}\n{resumed}")

    def end(self) -> None:
        """Close the text: the device has gone off."""
        with self._changed:
            if self._line:
                self._record("\n")
            self._line = ""
            self.open = False
            self._changed.notify_all()

    def wait_for(self, settled: Callable[[], bool], deadline: Deadline) -> None:
        """Wait until it is settled, looking again at every change, or until the deadline."""
        with self._changed:
            self._changed.wait_for(settled, deadline.left())

    def settle(self, quiet: float) -> None:
        """Wait until nothing has come for so many seconds."""
        with self._changed:
            while self._changed.wait(quiet):
                continue

    def last_line(self) -> str:
        """The last line that says something."""
        return next((line for line in reversed(self.text.splitlines()) if line.strip()), "")

    def _take(self, piece: str) -> str:
        """Judge a line, or what has come of it so far, and give it as the log shall show it."""
        if piece == "\n" and not self._line:
            return ""
        stamp = "" if self._line else f"{_stamp()} | "
        self._line += piece
        line = self._line.rstrip("\n")
        self._judge(line, complete=piece.endswith("\n"))
        if piece.endswith("\n"):
            self._line = ""
            if self._hear is not None:
                self._hear(line)
        return stamp + piece

    def _judge(self, line: str, *, complete: bool) -> None:
        if tells_lost_shell(line):
            self.lost_shell, self.prompted = line, False
        elif _PROMPT.match(_INTERRUPTED.sub("", line)):
            self.prompted = True
        # Prompts never end, the kernel's lines do, and half of one may look like a worse one.
        judged = complete or not _FROM_KERNEL.match(line)
        alarm = alarm_in(line) if judged else None
        if alarm is not None and alarm not in self.expected and self.alarm is None:
            self.alarm = (alarm, line)

    def _record(self, text: str) -> None:
        with self._log.open("a", encoding="utf-8") as log:
            log.write(text)


def _stamp() -> str:
    return datetime.now(tz=UTC).strftime("%H:%M:%S.%f")[:-3]
