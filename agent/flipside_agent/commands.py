"""What a device can owe: one obligation, in the imperative. Each may be carried out twice."""

from __future__ import annotations

from dataclasses import dataclass

from flipside_agent.update import Bundle, Inspection, Outcome, Update


@dataclass(frozen=True, slots=True)
class Inspect:
    """Have RAUC read and verify the bundle; nothing is written."""

    bundle: Bundle


@dataclass(frozen=True, slots=True)
class Install:
    """Have RAUC write to the target exactly the bundle that was inspected."""

    bundle: Bundle
    inspection: Inspection
    target: str


@dataclass(frozen=True, slots=True)
class AwaitNetwork:
    """Wait until the server can be reached again."""

    spent: int
    """Patience spent so far: the more, the longer to wait before the next attempt."""


@dataclass(frozen=True, slots=True)
class Examine:
    """Ask RAUC whether this slot was completely written, and with what."""

    slot: str


@dataclass(frozen=True, slots=True)
class Activate:
    """Make this slot the next one to boot, on trial."""

    slot: str


@dataclass(frozen=True, slots=True)
class Reboot:
    """Restart the device."""

    reason: str


@dataclass(frozen=True, slots=True)
class CheckHealth:
    """Run the health checks of the running slot."""


@dataclass(frozen=True, slots=True)
class MarkGood:
    """Confirm the running slot."""


@dataclass(frozen=True, slots=True)
class MarkBad:
    """Make sure that this slot is not booted again."""

    slot: str


@dataclass(frozen=True, slots=True)
class Report:
    """Tell the server how the update ended."""

    update: Update
    outcome: Outcome


Command = (
    Inspect
    | Install
    | AwaitNetwork
    | Examine
    | Activate
    | Reboot
    | CheckHealth
    | MarkGood
    | MarkBad
    | Report
)
