"""What can happen to an update: facts, in the past tense."""

from __future__ import annotations

from dataclasses import dataclass

from flipside_agent.boot import Boot
from flipside_agent.errors import Blame
from flipside_agent.update import Inspection, Offer


@dataclass(frozen=True, slots=True)
class Offered:
    """The server offered an update while the device ran from slot ``booted``."""

    offer: Offer
    booted: str
    other: str
    running: str = ""
    """Version of what runs in the booted slot."""


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """The server asked to cancel an action."""

    action: str


@dataclass(frozen=True, slots=True)
class Inspected:
    """RAUC read the bundle, checked its signature and named its manifest hash."""

    inspection: Inspection


@dataclass(frozen=True, slots=True)
class Installed:
    """RAUC wrote the whole bundle to the target slot. Nothing is activated yet."""


@dataclass(frozen=True, slots=True)
class NetworkReturned:
    """The server answered again after an outage."""


@dataclass(frozen=True, slots=True)
class Examined:
    """RAUC said whether a slot was completely written, and with what."""

    complete: bool
    manifest_hash: str
    """Hash of the bundle that it was last written with; empty if RAUC does not know."""


@dataclass(frozen=True, slots=True)
class Activated:
    """The target slot is the one that boots next, on trial."""


@dataclass(frozen=True, slots=True)
class Booted:
    """The device came up anew."""

    boot: Boot


@dataclass(frozen=True, slots=True)
class Restarted:
    """The agent started again within the same boot."""


@dataclass(frozen=True, slots=True)
class Healthy:
    """Every required check passed."""


@dataclass(frozen=True, slots=True)
class Unhealthy:
    """A required check failed or the deadline passed."""

    check: str
    reason: str


@dataclass(frozen=True, slots=True)
class MarkedGood:
    """The running slot is confirmed."""


@dataclass(frozen=True, slots=True)
class MarkedBad:
    """The target slot will not be booted again."""


@dataclass(frozen=True, slots=True)
class Reported:
    """The server took the result, or said that it no longer wants it."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The command that was owed could not be carried out."""

    reason: str
    blame: Blame


Event = (
    Offered
    | CancelRequested
    | Inspected
    | Installed
    | NetworkReturned
    | Examined
    | Activated
    | Booted
    | Restarted
    | Healthy
    | Unhealthy
    | MarkedGood
    | MarkedBad
    | Reported
    | Failed
)
