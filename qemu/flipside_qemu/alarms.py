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


KERNEL_PREFIX = r"\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? "
"""How printk begins a line: seconds with six decimals, and the caller's id where it is switched on.

Asking for it keeps the echo of a command that looks for "BUG:" from being taken for one.
"""

_ALARMS: dict[Alarm, re.Pattern[str]] = {
    Alarm.PANIC: re.compile(KERNEL_PREFIX + r"Kernel panic - not syncing"),
    # Lockups are left out: a host that is busy enough makes them in a healthy guest.
    Alarm.OOPS: re.compile(
        KERNEL_PREFIX + r"(?:Oops: |BUG: (?!soft lockup|workqueue lockup)|kernel BUG at "
        r"|general protection fault|Internal error: |Unable to handle kernel |double fault: )"
    ),
    Alarm.GRUB: re.compile(r"^(?:grub rescue> |grub> |.*Minimal BASH-like line editing)"),
    Alarm.FIRMWARE: re.compile(r"^(?:UEFI Interactive Shell|BdsDxe: No bootable option)"),
    Alarm.EMERGENCY: re.compile(
        r"^(?:You are in emergency mode|Cannot open access to console, the root account is locked"
        r"|.*systemd\[1\]: Freezing execution)"
    ),
    # A network block device fails whenever its server is switched off, which tests do on purpose.
    Alarm.FILESYSTEM: re.compile(KERNEL_PREFIX + r"(?:EXT4-fs error|.*I/O error, dev (?!nbd))"),
    Alarm.MEMORY: re.compile(KERNEL_PREFIX + r"Out of memory: Killed process"),
}

# The kernel's last words are printed at the highest level, so "quiet" does not hide them; a reset
# without last words (watchdog, QMP) shows by the firmware's first; a shell that ended, by getty's.
_SHELL_LOST = re.compile(
    KERNEL_PREFIX + r"(?:reboot: |Rebooting in \d+ seconds)"
    r"|^BdsDxe: (?:loading|starting) |^U-Boot \d{4}\.\d\d| login: .*\(automatic login\)"
)


def alarm_in(line: str) -> Alarm | None:
    """The alarm that a line of the console raises, if it raises one."""
    return next((alarm for alarm, pattern in _ALARMS.items() if pattern.search(line)), None)


def tells_lost_shell(line: str) -> bool:
    """Whether a line of the console says that whatever shell there was is gone."""
    return _SHELL_LOST.search(line) is not None
