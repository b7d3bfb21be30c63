"""An update as a value: what was offered, where it goes, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Bundle:
    """A RAUC bundle as the server describes it."""

    url: str
    """Absolute http(s) address; hostile until the transport has checked its origin."""
    size: int
    """Bytes."""
    version: str
    sha256: str = ""
    """Lower-case hex of the whole file; empty when the server does not say."""
    manifest_hash: str = ""
    """Wanted RAUC manifest hash, lower-case hex; empty when the server does not say."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the server wants this device to run."""

    action: str
    """The action's id, decimal digits. It names the update in every report."""
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class Inspection:
    """What RAUC saw in a bundle, and what pins the bundle that is then installed."""

    manifest_hash: str
    version: str
    compatible: str
    size: int
    """Bytes of the whole bundle as the origin served it."""
    tail_sha256: str
    """Digest of the signature tail (CMS and its length) that RAUC was shown."""


@dataclass(frozen=True, slots=True)
class Update:
    """An accepted offer, under way from one slot to the other."""

    action: str
    bundle: Bundle
    base: str
    """Bootname of the slot that ran when the offer was accepted."""
    target: str
    """Bootname of the slot to be written."""
    attempts: int = 0
    """Times a state was entered again. Journalled, so that every loop ends."""

    def again(self) -> Update:
        """The same update, one attempt later."""
        return replace(self, attempts=self.attempts + 1)


class Verdict(StrEnum):
    """How an update ended, in the words of the report."""

    SUCCESS = "success"
    FAILURE = "failure"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an update ended, and why."""

    verdict: Verdict
    reason: str
    """One sentence for the operator."""
    check: str = ""
    """Name of the health check that failed, if one did."""


@dataclass(frozen=True, slots=True)
class SlotStatus:
    """What RAUC knows about one slot."""

    bootname: str
    written: bool
    """RAUC finished writing it: slot status ``ok``."""
    manifest_hash: str
    """Hash of the bundle that was written to it; empty if RAUC does not know."""
    good: bool
    """RAUC's boot-status."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the health checks found."""

    healthy: bool
    check: str = ""
    """Name of the first required check that failed."""
    reason: str = ""
