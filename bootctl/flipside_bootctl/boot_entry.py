"""Names of our boot loader entries: sequence, slot and counter, and back.

``flipside-7-b+2-1.conf``: selected as the seventh, slot B, two attempts left, one done. Counters
are systemd-boot's (systemd, "Automatic Boot Assessment"): it renames the file at each boot. An
entry without a counter is never counted.

A name of at most 26 characters takes three of the sixteen entries in one sector of a FAT
directory: two of 13 characters, and the short one.
"""

from __future__ import annotations

from typing import NamedTuple

from flipside_bootctl.errors import DamagedState

SUFFIX = ".conf"
_DIGITS = frozenset("0123456789")
_INT_MAX = 2**31 - 1


class EntryName(NamedTuple):
    """What the name of an entry says."""

    sequence: int
    """The highest goes first; 0 is the rescue entry's."""
    slot: str
    left: int | None
    """Attempts left; None without a counter."""
    done: int = 0

    def file(self) -> str:
        """The name of the file, in lower case, because systemd-boot folds some names only."""
        counter = "" if self.left is None else f"+{self.left}"
        if self.left is not None and self.done:
            counter += f"-{self.done}"
        return f"flipside-{self.sequence}-{self.slot.lower()}{counter}{SUFFIX}"


class Counter(NamedTuple):
    """What systemd-boot reads from any file name."""

    identity: str
    left: int | None
    done: int = 0


def parse(file: str) -> EntryName:
    """What the name of a file of ours says; raises DamagedState if it is not one."""
    counter = counted(file)
    word, _, rest = counter.identity.removesuffix(SUFFIX).partition("-")
    sequence, _, slot = rest.partition("-")
    name = EntryName(_number(sequence) or 0, slot.upper(), counter.left, counter.done)
    plain = name._replace(left=None).file()
    ours = word == "flipside" and slot in ("a", "b") and file == file.lower()
    if not ours or counter.identity != plain:
        raise DamagedState(f"{file}: not a boot entry of Flipside")
    return name


def counted(file: str) -> Counter:
    """Identity and counter of any entry, as systemd-boot 257 takes its name apart."""
    stem, plus, tail = file.rpartition("+")
    counter = tail.removesuffix(SUFFIX)
    left, dash, done = counter.partition("-")
    numbers = _number(left), _number(done) if dash else 0
    if not plus or counter == tail or None in numbers:
        return Counter(file.lower(), None)
    # boot.c folds the case of a name before it looks for a counter, and not of what it cuts out.
    return Counter(stem + SUFFIX, numbers[0], numbers[1] or 0)


def _number(text: str) -> int | None:
    if not text or not _DIGITS.issuperset(text):
        return None
    number = int(text)
    return number if number <= _INT_MAX else None
