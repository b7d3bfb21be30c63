"""Everything of a device, its boot loader, its RAUC and its server that outlives a power cut."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Final

from flipside_agent.journal import Journal
from flipside_agent.page import unseal
from flipside_agent.record import Record, decode
from flipside_agent.update import Outcome
from flipside_bootctl import counted
from flipside_bootctl.state import BootState
from models.scenario import BASE


class Image(StrEnum):
    """What is in a slot."""

    OLD = "old"
    HALF = "half"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Slot:
    """What is in a slot, and what RAUC says of it."""

    image: Image = Image.OLD
    written: bool = True
    manifest_hash: str = "0" * 64


@dataclass(frozen=True, slots=True)
class Running:
    """The boot that is going on; a power cut ends it, the agent's death does not."""

    slot: str
    trial: bool
    boot: str


@dataclass(frozen=True, slots=True)
class Lasting:
    """Everything that outlives the agent."""

    primary: str = BASE
    left: tuple[int, int] = (9, 0)
    confirmed: tuple[bool, bool] = (True, False)
    readable: bool = True
    """The boot state is not torn."""
    committed: str = BASE
    slots: tuple[Slot, Slot] = (Slot(), Slot())
    pages: tuple[bytes, bytes] = (b"", b"")
    verdicts: tuple[Outcome, ...] = ()
    contacts: int = 0
    faults: tuple[tuple[str, int], ...] = ()

    def boot_state(self) -> BootState:
        """The boot state as ``flipside-bootctl`` reads it."""
        if not self.readable:
            return counted.rebuilt(self.committed)
        pairs = zip(counted.NAMES, self.left, self.confirmed, strict=True)
        return counted.from_variables(
            {"primary": self.primary}
            | {
                key: value
                for name, left, confirmed in pairs
                for key, value in (
                    (f"{name}_left", str(left)),
                    (f"{name}_confirmed", "1" if confirmed else "0"),
                )
            }
        )

    def with_boot_state(self, state: BootState) -> Lasting:
        """The same with another boot state."""
        slots = [state.slot(name) for name in counted.NAMES]
        return replace(
            self,
            primary=state.primary,
            left=(slots[0].left, slots[1].left),
            confirmed=(slots[0].confirmed, slots[1].confirmed),
            readable=True,
        )

    def slot(self, name: str) -> Slot:
        """What is in this slot."""
        return self.slots[counted.NAMES.index(name)]

    def with_slot(self, name: str, slot: Slot) -> Lasting:
        """The same with something else in this slot."""
        first, second = self.slots
        return replace(self, slots=(slot, second) if name == BASE else (first, slot))

    def with_page(self, number: int, raw: bytes) -> Lasting:
        """The same with this in one page of the journal."""
        first, second = self.pages
        return replace(self, pages=(raw, second) if number == 0 else (first, raw))

    def record(self) -> Record | None:
        """What the journal says to an agent of today."""
        return _loaded(self.pages)

    def key(self, running: Running | None, last_contact: int) -> object:
        """What decides about everything that may still happen.

        Boot ids and serial numbers are left out: all that matters is whose boot wrote the record.
        """
        boot, story = _story(self.pages)
        return (
            (self.primary, self.left, self.confirmed, self.readable, self.committed),
            self.slots,
            story,
            tuple(outcome.verdict for outcome in self.verdicts[-1:]),
            min(self.contacts, last_contact),
            self.faults,
            running and (running.slot, running.trial, boot == running.boot),
        )


@dataclass(frozen=True, slots=True)
class _Print:
    """Pages that can only be read."""

    pages: tuple[bytes, bytes]

    def read(self, number: int) -> bytes:
        return self.pages[number]

    def write(self, number: int, raw: bytes) -> None:
        raise NotImplementedError(number, raw)


@lru_cache(maxsize=4096)
def _loaded(pages: tuple[bytes, bytes]) -> Record | None:
    return Journal(_Print(pages)).load()


@lru_cache(maxsize=4096)
def _story(pages: tuple[bytes, bytes]) -> tuple[str, object]:
    """Whose boot wrote the journal, and what it says: the newest page, the other is next to go.

    If the newest says nothing to an agent of today, the other one may still be listened to.
    """
    found = [page for page in map(unseal, pages) if page]
    found.sort(key=lambda page: page.serial, reverse=True)
    if found and decode(found[0].payload, found[0].format):
        found = found[:1]
    documents = [(page.format, json.loads(page.payload)) for page in found]
    boot = documents[0][1].pop("boot") if documents else ""
    return boot, json.dumps(documents)


FACTORY: Final = Lasting()
"""A device as it leaves the factory: A is confirmed and runs, B is not bootable."""
