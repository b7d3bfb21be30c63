"""A later release of the agent: one more state, more members in the journal, a format of its own.

It is what the agent of today may meet in the other slot. The polite one keeps the rules of
:mod:`flipside_agent.record`; the rude one writes its own format from its first breath.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final

from flipside_agent import machine, record
from flipside_agent.boot import Boot
from flipside_agent.commands import CheckHealth, Command
from flipside_agent.events import Booted, Event, Healthy, Restarted
from flipside_agent.page import Page, seal, unseal
from flipside_agent.pages import Pages
from flipside_agent.record import Record
from flipside_agent.states import Idle, State, Verifying
from flipside_agent.update import Update

FORMAT: Final = 2


@dataclass(frozen=True, slots=True)
class Soaking:
    """Healthy once; is it healthy still?"""

    update: Update


Later = State | Soaking


@dataclass(slots=True)
class NewerAgent:
    """Its runner, its journal and its machine in one."""

    pages: Pages
    boot: Boot
    rude: bool = False
    state: Later = field(default_factory=Idle)
    begun_with: int = FORMAT

    @property
    def owed(self) -> Command | None:
        """What is to be paid next."""
        return CheckHealth() if isinstance(self.state, Soaking) else machine.pending(self.state)

    def start(self) -> None:
        """Read either format."""
        page = self._newest()
        if page is None:
            return self.take(Booted(self.boot))
        document = json.loads(page.payload)
        self.begun_with = page.format
        self.state = _read(page)
        same = document["boot"] == self.boot.id
        return self.take(Restarted() if same else Booted(self.boot))

    def take(self, event: Event) -> None:
        """Step, and write it down."""
        after = _step(self.state, event)
        if after != self.state:
            self.state = after
            self._write()

    def _write(self) -> None:
        if self.rude or isinstance(self.state, Idle):
            self.begun_with = FORMAT
        page = self._newest()
        serial = page.serial + 1 if page else 1
        payload = _written(self.state, self.boot.id, self.begun_with)
        self.pages.write(serial % 2, seal(Page(serial, self.begun_with, payload)))

    def _newest(self) -> Page | None:
        pages = (unseal(self.pages.read(number)) for number in range(2))
        return max((page for page in pages if page), key=lambda page: page.serial, default=None)


def polite(pages: Pages, boot: Boot) -> NewerAgent:
    """One that keeps to what the agent in the other slot can read."""
    return NewerAgent(pages, boot)


def rude(pages: Pages, boot: Boot) -> NewerAgent:
    """One that does not."""
    return NewerAgent(pages, boot, rude=True)


def _step(state: Later, event: Event) -> Later:
    if isinstance(state, Soaking):
        return machine.step(Verifying(state.update), event)
    after = machine.step(state, event)
    if isinstance(state, Verifying) and isinstance(event, Healthy):
        return Soaking(state.update)
    return after


def _written(state: Later, boot: str, version: int) -> bytes:
    known = Verifying(state.update) if isinstance(state, Soaking) else state
    document = json.loads(record.encode(Record(known, boot)))
    if version == FORMAT:
        document |= {"agent": "2.0", "window": {"opens": 3}}
        if isinstance(state, Soaking):
            document["state"] = "soaking"
    return json.dumps(document).encode()


def _read(page: Page) -> Later:
    document = json.loads(page.payload)
    soaking = document["state"] == "soaking"
    if soaking:
        document["state"] = "verifying"
    found = record.decode(json.dumps(document).encode(), page.format)
    assert found is not None
    return (
        Soaking(found.state.update)
        if soaking and isinstance(found.state, Verifying)
        else found.state
    )
