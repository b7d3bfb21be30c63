"""What UEFI firmware boots: ``BootNext`` once, else ``BootOrder``; boot states from it, and back.

UEFI specification, "Boot Manager". RAUC's ``efi`` backend knows a slot by the description of its
entry, takes it for good if it is in ``BootOrder``, and for the primary one if ``BootNext`` names
it, or else the order first (RAUC, src/bootloaders/efi.c).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flipside_bootctl.errors import DamagedState
from flipside_bootctl.state import BAD, BootState, Slot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flipside_bootctl.efi_load_option import LoadOption

_WORD = 2


class BootManager(NamedTuple):
    """The variables of the firmware's boot manager."""

    order: tuple[int, ...]
    next: int | None
    """Number of the entry that is booted once, before all others."""
    entries: Mapping[int, LoadOption]

    def label(self, number: int | None) -> str:
        """Description of an entry that the firmware would boot; empty if there is none."""
        entry = self.entries.get(number) if number is not None else None
        return entry.description if entry and entry.active() else ""

    def numbers(self, label: str) -> list[int]:
        """Entries of this description: those in the order first, then by number."""
        numbers = [*dict.fromkeys((*self.order, *sorted(self.entries)))]
        return [number for number in numbers if self.label(number) == label]

    def first(self, number: int) -> tuple[int, ...]:
        """The order with this entry in front."""
        return (number, *(other for other in self.order if other != number))

    def without(self, label: str) -> tuple[int, ...]:
        """The order without the entries of this description."""
        return tuple(number for number in self.order if self.label(number) != label)


def state(manager: BootManager, names: Sequence[str]) -> BootState:
    """The boot state of these slots; raises DamagedState where none of them would be booted."""
    good = [label for label in map(manager.label, manager.order) if label in names]
    once = manager.label(manager.next)
    tried = [once] if once in names else []
    if not good and not tried:
        raise DamagedState(f"boot state: BootOrder names no entry {' or '.join(names)}")
    slots = dict.fromkeys(names, BAD)
    slots.update((name, Slot(1, name in good)) for name in (*good, *tried))
    return BootState((*tried, *good)[0], slots)


def complaints(manager: BootManager, names: Sequence[str]) -> list[str]:
    """What is wrong with it although the firmware goes on, a sentence each."""
    sentences = [
        f"no active boot entry is called {name}, expected one for this slot"
        for name in names
        if not manager.numbers(name)
    ]
    missing = [f"{number:04X}" for number in manager.order if number not in manager.entries]
    if missing:
        sentences.append(f"BootOrder names {', '.join(missing)}, which cannot be read")
    leading = next(filter(None, map(manager.label, manager.order)), "")
    if leading and leading not in names:
        sentences.append(f"BootOrder begins with {leading}, expected {' or '.join(names)}")
    return sentences


def numbers(data: bytes, name: str) -> tuple[int, ...]:
    """The entries that a variable names; raises DamagedState where it is cut off."""
    if len(data) % _WORD:
        raise DamagedState(f"{name} of {len(data)} bytes, expected two for each entry")
    return tuple(
        int.from_bytes(data[at : at + _WORD], "little") for at in range(0, len(data), _WORD)
    )


def once(data: bytes) -> int | None:
    """The entry that ``BootNext`` names; raises DamagedState where it is no single one."""
    if len(data) not in (0, _WORD):
        raise DamagedState(f"BootNext of {len(data)} bytes, expected {_WORD}")
    return int.from_bytes(data, "little") if data else None


def words(entries: Sequence[int]) -> bytes:
    """The variable that names these entries."""
    return b"".join(number.to_bytes(_WORD, "little") for number in entries)
