"""What can go wrong with a device that does not exist, by whom it is to be blamed.

Our own bugs are outside every family and are never caught.
Every message is one sentence: what, where, what was expected, what to do.
"""

from __future__ import annotations

from typing import ClassVar


class HarnessError(Exception):
    """Root of everything this room raises on purpose."""

    exit_code: ClassVar[int] = 1
    """What `flipside-qemu` ends with."""


class OperatorError(HarnessError):
    """The operator is at fault: what was named is not there, or not what it should be."""

    exit_code = 2


class HostError(HarnessError):
    """The host is at fault: a program is missing or too old, a file is absent, a disk is full."""

    exit_code = 3


class EmulatorError(HarnessError):
    """QEMU is at fault: it did not start, it died, or it refused an order."""

    exit_code = 4


class GuestError(HarnessError):
    """The device under test is at fault: it hangs, crashes, or fails a command."""


class CommandError(GuestError):
    """A command on the device ended with an exit code other than 0."""

    def __init__(self, command: str, code: int, output: str) -> None:
        super().__init__(
            f"the device ended `{command}` with code {code}: {output or '(no output)'}"
        )
        self.command = command
        self.code = code
        self.output = output


class DeadlineError(GuestError):
    """What was waited for did not come in time."""

    def __init__(self, what: str, seconds: float, last_line: str) -> None:
        super().__init__(
            f"the device did not show {what} within {seconds:.0f} s;"
            f" the last line on its console is {last_line!r}"
        )
        self.what = what
        self.seconds = seconds
        self.last_line = last_line


class AlarmError(GuestError):
    """A line that no healthy device prints stood on the console."""

    def __init__(self, alarm: str, line: str) -> None:
        super().__init__(f"the device's console shows a {alarm}: {line!r}")
        self.alarm = alarm
        self.line = line


class ShellLostError(GuestError):
    """The device rebooted, or its shell ended, while a command was running on it."""

    def __init__(self, command: str, line: str) -> None:
        super().__init__(f"the device's shell went away while it ran `{command}`, seen by {line!r}")
        self.command = command
        self.line = line


class PowerError(GuestError):
    """The device is off, or went off, while something was wanted of it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the device is off, so it cannot show {what}; power it on first")
        self.what = what
