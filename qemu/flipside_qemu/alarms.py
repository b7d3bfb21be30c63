"""The lines that no healthy device prints, and the ones that tell a reboot.

A test that waits for something else would wait in vain once such a line has come: it fails at
once, with the line, and not at its deadline, with a riddle.
"""

from __future__ import annotations

import re
from enum import StrEnum


class Alarm(StrEnum):
    """What a bad line means."""

    PANIC = "kernel panic"
    OOPS = "kernel oops"
    GRUB = "GRUB prompt instead of a system"
    FIRMWARE = "firmware that found nothing to boot"
    EMERGENCY = "system in emergency mode"
    FILESYSTEM = "file system error"
    MEMORY = "process killed for want of memory"


# printk's prefix: seconds with six decimals, with the caller's id where the kernel adds it. Asking
# for it keeps the echo of a command that looks for "BUG:" from being taken for one.
_KERNEL = r"\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? "

_ALARMS: dict[Alarm, re.Pattern[str]] = {
    Alarm.PANIC: re.compile(_KERNEL + r"Kernel panic - not syncing"),
    # Lockups are left out: a host that is busy enough makes them in a healthy guest.
    Alarm.OOPS: re.compile(
        _KERNEL + r"(?:Oops: |BUG: (?!soft lockup|workqueue lockup)|kernel BUG at "
        r"|general protection fault|Internal error: |Unable to handle kernel |double fault: )"
    ),
    Alarm.GRUB: re.compile(r"^(?:grub rescue> |grub> |.*Minimal BASH-like line editing)"),
    Alarm.FIRMWARE: re.compile(r"^(?:UEFI Interactive Shell|BdsDxe: No bootable option)"),
    Alarm.EMERGENCY: re.compile(
        r"^(?:You are in emergency mode|Cannot open access to console, the root account is locked"
        r"|.*systemd\[1\]: Freezing execution)"
    ),
    Alarm.FILESYSTEM: re.compile(_KERNEL + r"(?:EXT4-fs error|.*I/O error, dev )"),
    Alarm.MEMORY: re.compile(_KERNEL + r"Out of memory: Killed process"),
}

# The kernel's own last words are printed at the highest level, so "quiet" does not hide them; a
# reset without last words (watchdog, QMP) shows by the firmware's first.
_REBOOT = re.compile(
    _KERNEL + r"(?:reboot: |Rebooting in \d+ seconds)"
    r"|^BdsDxe: (?:loading|starting) |^U-Boot \d{4}\.\d\d|^Linux version \d"
)


def alarm_in(line: str) -> Alarm | None:
    """The alarm that a line of the console raises, if it raises one."""
    return next((alarm for alarm, pattern in _ALARMS.items() if pattern.search(line)), None)


def tells_reboot(line: str) -> bool:
    """Whether a line of the console says that the system is going down or coming up anew."""
    return _REBOOT.search(line) is not None
