"""The scheme of systemd-boot: boot states as a set of entries, and back.

One counted entry for each slot that may boot: its sequence says who goes first, its counter how
often it is still tried, its text whether it is on trial. A slot without an entry is bad too: while
a kernel is copied, no entry names it. The rescue entry, without a counter and with the lowest
sequence, names the slot that was committed last; it boots when no attempt is left.

Where a cut left two entries for one slot, the one that systemd-boot would take is the one that
counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flipside_bootctl import boot_entry, entry_text, loader_order
from flipside_bootctl.boot_entry import EntryName
from flipside_bootctl.errors import DamagedState
from flipside_bootctl.loader_order import Candidate
from flipside_bootctl.state import BAD, BootState, Capabilities, Slot

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NAMES = ("A", "B")
CAPABILITIES = Capabilities(
    scheme="systemd-boot", trial_attempts=3, confirmed_attempts=9, confirm_every_boot=True
)
RESCUE = 0
"""Sequence of the rescue entry."""
FIRST = 2
"""Sequence of the first slot; there is room for the other one below it."""


class Entry(NamedTuple):
    """An entry that systemd-boot lists, and that is ours."""

    file: str
    text: str

    @property
    def name(self) -> EntryName:
        """What the file's name says."""
        return boot_entry.parse(self.file)

    @property
    def candidate(self) -> Candidate:
        """What counts for its place."""
        return Candidate(boot_entry.counted(self.file))

    @property
    def is_rescue(self) -> bool:
        """Whether it is there for the case that no attempt is left."""
        return self.name.sequence == RESCUE and self.name.left is None

    @property
    def may_boot(self) -> bool:
        """Whether nobody declared it bad; it may have used up its attempts."""
        return (self.name.left, self.name.done) != (0, 0)

    @property
    def slot(self) -> Slot:
        """What it says about its slot."""
        confirmed = not entry_text.is_trial(self.text)
        full = CAPABILITIES.confirmed_attempts if confirmed else CAPABILITIES.trial_attempts
        # Somebody else's confirmation takes the counter off: systemd-bless-boot's.
        return Slot(full if self.name.left is None else self.name.left, confirmed)


def rescue(slot: str, text: str) -> Entry:
    """The entry that boots when no attempt is left."""
    return Entry(EntryName(RESCUE, slot, None).file(), entry_text.confirmed(text))


def bad(entry: Entry) -> Entry:
    """The same entry, declared bad: none left and none done, which no counting ever makes."""
    name = entry.name._replace(left=0, done=0)
    return Entry(name.file(), entry_text.on_trial(entry.text))


def first(entries: Iterable[Entry]) -> Entry | None:
    """The one that systemd-boot would take."""
    best: Entry | None = None
    for entry in entries:
        if best is None or loader_order.compare(entry.candidate, best.candidate) < 0:
            best = entry
    return best


def of_slot(entries: Iterable[Entry], slot: str) -> Entry | None:
    """The entry that counts for a slot, the rescue entry aside."""
    return first(entry for entry in entries if entry.name.slot == slot and not entry.is_rescue)


def rescue_of(entries: Iterable[Entry]) -> Entry | None:
    """The rescue entry that counts."""
    return first(entry for entry in entries if entry.is_rescue)


def from_entries(entries: Sequence[Entry]) -> BootState:
    """The state that these entries say; raises DamagedState where no slot has one."""
    counting = _counting(entries)
    if not counting:
        raise DamagedState("boot state: no entry for A or B, expected one in loader/entries")
    primary = max(counting, key=lambda entry: (entry.name.sequence, entry.name.slot)).name.slot
    slots = {name: _slot(of_slot(entries, name)) for name in NAMES}
    return BootState(primary, slots)


def rebuilt(committed: str) -> BootState:
    """The state to start from when none can be read: only the committed slot, confirmed."""
    slots = dict.fromkeys(NAMES, BAD)
    slots[committed] = Slot(CAPABILITIES.confirmed_attempts, confirmed=True)
    return BootState(committed, slots)


def restored(entries: Sequence[Entry]) -> list[Entry]:
    """What is to be written before anything else: counters that somebody took off.

    Where only the rescue entry is left, its slot gets a counted one.
    """
    counting, rescuing = _counting(entries), rescue_of(entries)
    if rescuing and not counting:
        return [_confirmed(FIRST - 1, rescuing.name.slot, rescuing.text)]
    bare = [entry for entry in counting if entry.name.left is None]
    return [Entry(entry.name._replace(left=entry.slot.left).file(), entry.text) for entry in bare]


def selecting(entries: Sequence[Entry], name: str, slot: Slot, text: str) -> Entry:
    """The entry that lets a slot go first; one that goes first already keeps its sequence."""
    own, highest = of_slot(entries, name), [entry.name.sequence for entry in entries]
    sequence = max([FIRST - 1, *highest]) + 1
    if own and from_entries(entries).primary == name:
        sequence = own.name.sequence
    done = own.name.done if own and slot.confirmed else 0
    text = entry_text.confirmed(text) if slot.confirmed else entry_text.on_trial(text)
    return Entry(EntryName(sequence, name, slot.left, done).file(), text)


def confirming(entries: Sequence[Entry], name: str, text: str) -> Entry:
    """The entry that confirms a slot; its place in the order stays.

    A slot without an entry comes below the other one, or above it where that has no room below:
    there the other one was restored from the rescue entry, or was never selected itself.
    """
    own = of_slot(entries, name)
    others = [entry.name.sequence for entry in _counting(entries)]
    if own:
        sequence = own.name.sequence
    else:
        sequence = max(others) - 1 if others and max(others) >= FIRST else FIRST
    return _confirmed(sequence, name, text)


def kept(entries: Sequence[Entry]) -> list[Entry]:
    """Those that count: one for each slot, and the rescue entry."""
    rescuing = rescue_of(entries)
    return _counting(entries) + ([rescuing] if rescuing else [])


def _confirmed(sequence: int, slot: str, text: str) -> Entry:
    name = EntryName(sequence, slot, CAPABILITIES.confirmed_attempts)
    return Entry(name.file(), entry_text.confirmed(text))


def _counting(entries: Sequence[Entry]) -> list[Entry]:
    return [entry for name in NAMES if (entry := of_slot(entries, name))]


def _slot(entry: Entry | None) -> Slot:
    return entry.slot if entry else BAD
