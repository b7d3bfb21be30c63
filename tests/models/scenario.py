"""What a world is up to: the image that is offered, the outages, the faults, the agents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from flipside_agent.boot import Boot
from flipside_agent.commands import Command
from flipside_agent.errors import Blame
from flipside_agent.events import Event
from flipside_agent.journal import Journal
from flipside_agent.pages import Pages
from flipside_agent.runner import Runner

WANTED: Final = "5" * 64
"""Manifest hash of the new bundle."""
ACTION: Final = "7"
BASE, TARGET = "A", "B"
FOREVER: Final = 10**6


class Kind(StrEnum):
    """What the new image does when it is booted."""

    HEALTHY = "healthy"
    SICK = "sick"
    """A health check fails."""
    PANICKING = "panicking"
    """The kernel panics and starts anew."""
    HANGING = "hanging"
    """The health checks never end; the trial timer starts the device anew."""
    AGENTLESS = "agentless"
    """The agent cannot start; the trial timer starts the device anew."""


class Broken(AssertionError):
    """The agent did what must never be done."""


class Agent(Protocol):
    """The core of an agent, of whatever age."""

    @property
    def state(self) -> Any: ...
    @property
    def owed(self) -> Command | None: ...
    def start(self) -> None: ...
    def take(self, event: Event) -> None: ...


def this_agent(pages: Pages, boot: Boot) -> Agent:
    """The agent that is tested here."""
    return Runner(Journal(pages), boot)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the world is up to."""

    kind: Kind = Kind.HEALTHY
    outage: tuple[int, int] = (0, 0)
    """The server is away from this contact on until, not including, that one."""
    faults: tuple[tuple[str, int], ...] = ()
    """Verbs of the ports that fail so many times; of a probe it is the check that fails."""
    refused: bool = False
    """RAUC refuses the bundle."""
    other_hash: bool = False
    """The server names another manifest hash than the bundle has."""
    cancelled_from: int = FOREVER
    """The server wants the action cancelled from this contact on."""
    meddled: bool = False
    """RAUC activates what it has installed, before we can say so."""
    torn_states: bool = False
    """A cut may also tear the one sector of the boot state."""
    ailing_base: bool = False
    """The health checks of the old system fail, too."""
    counted: bool = True
    """The boot loader counts every boot, not only those on trial."""
    quiet: bool = False
    """The server wants nothing."""
    spoiled: Blame | None = None
    """Each installation fails in the middle, through this party's fault."""
    eager: bool = False
    """The server is asked before each payment, not only when nothing is owed."""
    old_agent: Callable[[Pages, Boot], Agent] = this_agent
    """The agent of the image that the device came with."""
    new_agent: Callable[[Pages, Boot], Agent] = this_agent
    """The agent of the update."""

    def __str__(self) -> str:
        told = [f"{name}={value}" for name, value in self._told()]
        return " ".join([str(self.kind), *told])

    def _told(self) -> list[tuple[str, object]]:
        usual = Scenario()
        names = [name for name in self.__slots__ if name != "kind"]
        pairs = [(name, getattr(self, name)) for name in names]
        return [(name, value) for name, value in pairs if value != getattr(usual, name)]
