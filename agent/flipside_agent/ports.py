"""What the agent needs of the world: small protocols, owned here, implemented by the adapters.

Every verb raises an error of a family in :mod:`flipside_agent.errors`, never anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from flipside_agent.update import (
    Bundle,
    Diagnosis,
    Inspection,
    Offer,
    Outcome,
    SlotStatus,
    Update,
)


class Installer(Protocol):
    """Writes bundles and boot state: RAUC, behind the agent's own origin."""

    async def inspect(self, bundle: Bundle) -> Inspection: ...
    async def install(self, bundle: Bundle, inspection: Inspection, target: str) -> None: ...
    async def slot_status(self, slot: str) -> SlotStatus: ...
    async def activate(self, slot: str) -> None: ...
    async def mark_good(self) -> None: ...
    async def mark_bad(self, slot: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """A deployment that is not even begun, and why."""

    action: str
    reason: str
    """One sentence."""


@dataclass(frozen=True, slots=True)
class Poll:
    """One answer of the update server."""

    sleep: float
    """Seconds until the next poll, already clamped."""
    offer: Offer | None = None
    refused: Refusal | None = None
    """Stands in for an offer that makes no sense."""
    cancel: str = ""
    """Id of the action that the server wants cancelled; empty if none."""
    wants_attributes: bool = False


class Server(Protocol):
    """The update server, as far as an update is concerned."""

    async def poll(self) -> Poll: ...
    async def report(self, update: Update, outcome: Outcome) -> None: ...
    async def progress(self, action: str, sentence: str) -> None: ...
    async def answer_cancel(self, action: str, *, accepted: bool, reason: str) -> None: ...
    async def send_attributes(self, attributes: dict[str, str]) -> None: ...


class Contact(Protocol):
    """The way to the update server."""

    async def regained(self, spent: int) -> None: ...


class Health(Protocol):
    """The health checks of the running slot."""

    async def diagnose(self) -> Diagnosis: ...


class History(Protocol):
    """What the device itself remembers of its updates."""

    async def note(self, update: Update, outcome: Outcome) -> None: ...


class Power(Protocol):
    """The device's power switch."""

    async def reboot(self, reason: str) -> None: ...


class Notifier(Protocol):
    """Whoever watches over the agent: systemd."""

    def ready(self) -> None: ...
    def watchdog(self) -> None: ...
    def status(self, sentence: str) -> None: ...
