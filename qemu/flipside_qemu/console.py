"""A serial console, and the shell on it: the way to talk to a device as a person would."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from flipside_qemu import exchange
from flipside_qemu.alarms import Alarm
from flipside_qemu.deadline import Deadline, Within
from flipside_qemu.errors import (
    AlarmError,
    CommandError,
    DeadlineError,
    GuestError,
    PowerError,
    ShellLostError,
)
from flipside_qemu.exchange import Result
from flipside_qemu.line import Line
from flipside_qemu.transcript import Transcript

_Seen = TypeVar("_Seen")

BOOT = 300.0
"""Seconds from power-on to a shell. A boot takes 20 CPU seconds under emulation; hosts are busy."""
_QUIET = 0.2
"""Seconds without a character after which a device that stands still has nothing more to say."""
_ANSWER = 10.0
"""Seconds a shell has to answer the greeting before it is greeted again."""


class Console:
    """The console of a device: `run`, `check` and `test` commands, and `wait_for` lines.

    It finds its shell by itself, also after reboots that nobody announced. It fails once: when the
    device has missed a deadline or raised an alarm, every later call raises that first error.
    """

    def __init__(
        self, log: Path, *, patience: float = 1.0, hear: Callable[[str], None] | None = None
    ) -> None:
        """`patience` stretches every deadline given in seconds; `hear` is told every line."""
        self._transcript = Transcript(log, hear)
        self._line = Line(self._transcript)
        self._patience = patience
        self._tokens = exchange.tokens()
        self._greeted = False
        self._cursor = 0
        self.failure: GuestError | None = None
        """The first failure; the device is dead from then on."""

    def attach(self, end: int) -> None:
        """Talk over this file descriptor from now on; it is closed when the console detaches."""
        self._greeted, self._cursor = False, 0
        self._line.connect(end)

    def detach(self) -> None:
        """Hang up; what was shown until now stays readable."""
        self._line.hang_up()

    def is_connected(self) -> bool:
        """Whether there still is somebody at the other end."""
        return self._transcript.open

    def deadline(self, within: Within) -> Deadline:
        """A deadline as it is, or the one so many seconds from now, stretched by the patience."""
        return Deadline.of(within, self._patience)

    # Talking to the shell

    def run(self, command: str, within: Within = 60) -> Result:
        """The result of a command, whatever its exit code."""
        self.login()
        deadline = self.deadline(within)
        token, start = next(self._tokens), len(self._transcript.text)
        self._type(exchange.framed(command, token))

        def ended() -> Result | None:
            result = exchange.result(self._transcript.text[start:], token)
            if result is None and self._transcript.lost_shell:
                raise ShellLostError(command, self._transcript.lost_shell)
            return result

        result = self._await(ended, f"the end of `{command}`", deadline)
        self._cursor = start + exchange.beginning(self._transcript.text[start:], token)
        return result

    def check(self, command: str, within: Within = 60) -> str:
        """The output of a command that must succeed."""
        result = self.run(command, within)
        if result.code != 0:
            raise CommandError(command, result.code, result.output)
        return result.output

    def test(self, command: str, within: Within = 60) -> bool:
        """Whether a command succeeds."""
        return self.run(command, within).code == 0

    def put(self, path: str, content: str | bytes, mode: str = "0644") -> None:
        """Write a whole file on the device."""
        name = shlex.quote(path)
        data = content.encode() if isinstance(content, str) else content
        encoded = base64.b64encode(data).decode()
        self.check(f": > {name} && chmod {mode} {name}")
        # Whole groups of four characters, so that each piece decodes by itself.
        for start in range(0, len(encoded), 2000):
            self.check(f"echo {encoded[start : start + 2000]} | base64 -d >> {name}")

    def login(self, within: Within = BOOT) -> None:
        """Wait for a shell, unless the one that was there still is."""
        self.raise_failure()
        if self._greeted and not self._transcript.lost_shell:
            return
        self._greeted = False
        deadline = self.deadline(within)
        # Nothing is typed before something asks: keys stop boot loaders.
        self._await(lambda: self._transcript.prompted or None, "a shell", deadline)
        while not self._greet(deadline):
            if deadline.passed():
                raise self._failed(self._too_late("a shell that answers", deadline))
        self._greeted = True

    def lose_shell(self, why: str) -> None:
        """Tell that the device is about to start again, so that a new shell is waited for."""
        self._transcript.settle(_QUIET)
        self._transcript.prompted, self._transcript.lost_shell = False, why
        self._cursor = len(self._transcript.text)

    def regain_shell(self) -> None:
        """Tell that the device was put back to a moment at which its shell waited for input."""
        self._transcript.prompted, self._greeted = True, False
        self._cursor = len(self._transcript.text)

    # Reading along

    def wait_for(self, pattern: str, within: Within = 60) -> re.Match[str]:
        """The next match after the last one, or after the last command was typed.

        `^` and `$` match at lines; the rest of a line that has only begun is waited for where it
        could change the match.
        """
        self.raise_failure()
        searched = re.compile(pattern, re.MULTILINE)
        found = self._await(
            lambda: _settled(searched, self._transcript.text, self._cursor),
            f"`{pattern}`",
            self.deadline(within),
        )
        self._cursor = found.end()
        return found

    def wait_for_reboot(self, within: Within = 60) -> None:
        """Wait until the device goes down to start again; no wait if it already did."""
        self.raise_failure()
        self._await(
            lambda: self._transcript.lost_shell or None,
            "a reboot",
            self.deadline(within),
        )

    def is_asked(self) -> bool:
        """Whether something that may be a shell waits for input."""
        return self._transcript.prompted

    def seen(self, pattern: str) -> bool:
        """Whether there was a match since the device was switched on."""
        return re.search(pattern, self._transcript.text, re.MULTILINE) is not None

    def tail(self, lines: int = 40) -> str:
        """The last lines that were shown."""
        return "\n".join(self._transcript.text.splitlines()[-lines:])

    @contextmanager
    def expecting(self, *alarms: Alarm) -> Iterator[None]:
        """Let these alarms pass meanwhile, because the test is about them."""
        before = self._transcript.expected
        self._transcript.expected = before | set(alarms)
        try:
            yield
        finally:
            self._transcript.expected = before

    def raise_failure(self) -> None:
        """Raise the first failure again, if there was one."""
        if self.failure is not None:
            raise self.failure

    def note(self, sentence: str) -> None:
        """Write a line of one's own into the log."""
        self._transcript.note(sentence)

    # What the above is made of

    def _greet(self, deadline: Deadline) -> bool:
        """Greet whoever asks for input, and say whether it was a shell that answered."""
        if self._transcript.last_line().endswith("login: "):
            self._type("root")
        self._transcript.lost_shell = ""
        token, start = next(self._tokens), len(self._transcript.text)
        self._type(exchange.greeting(token))
        self._cursor = start

        def answered() -> bool | None:
            return exchange.greeted(self._transcript.text[start:], token) or None

        soon = Deadline.after(min(_ANSWER * self._patience, deadline.left()))
        return self._look(answered, "a shell", soon) is not None

    def _type(self, text: str) -> None:
        if len(text) > exchange.LONGEST:
            msg = f"a console takes lines of {exchange.LONGEST} characters: put() a script there"
            raise ValueError(msg)
        self._line.write(f"{text}\n".encode())

    def _await(self, seen: Callable[[], _Seen | None], what: str, deadline: Deadline) -> _Seen:
        found = self._look(seen, what, deadline)
        if found is None:
            raise self._failed(self._too_late(what, deadline))
        return found

    def _look(
        self, seen: Callable[[], _Seen | None], what: str, deadline: Deadline
    ) -> _Seen | None:
        """What was looked for, or None at the deadline; alarms and silence end it earlier."""
        transcript = self._transcript
        found: _Seen | None = None

        def settled() -> bool:
            nonlocal found
            found = seen()
            return found is not None or transcript.alarm is not None or not transcript.open

        transcript.wait_for(settled, deadline)
        if transcript.alarm is not None:
            raise self._failed(AlarmError(*transcript.alarm))
        if found is None and not transcript.open:
            raise PowerError(what)
        return found

    def _too_late(self, what: str, deadline: Deadline) -> DeadlineError:
        return DeadlineError(what, deadline.seconds, self._transcript.last_line())

    def _failed(self, error: GuestError) -> GuestError:
        self.failure = error
        self.note(f"failed: {error}")
        return error


def _settled(searched: re.Pattern[str], text: str, start: int) -> re.Match[str] | None:
    """The next match, unless it ends where the text does and would be another with more of it."""
    found = searched.search(text, start)
    if found is None or found.end() < len(text) or text.endswith("\n"):
        return found
    longer = (searched.search(text + more, start) for more in ("x", "0"))
    return found if all(one and one.span() == found.span() for one in longer) else None
