"""An update as a value: what was offered, where it goes, and how it ended."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

_URL = re.compile(r"https?://[!#-\[\]-~]{1,2040}")
"""Printable ASCII without quote and backslash: it is written down as JSON, in a page of a disk."""
_DIGEST = re.compile(r"(?:[0-9a-f]{64})?")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A RAUC bundle as the server describes it."""

    url: str
    """Absolute http(s) address, at most 2048 characters; hostile until its origin is checked."""
    size: int
    """Bytes."""
    version: str
    sha256: str = ""
    """Lower-case hex of the whole file; empty when the server does not say."""
    manifest_hash: str = ""
    """Wanted RAUC manifest hash, lower-case hex; empty when the server does not say."""

    def flaw(self) -> str:
        """What makes this description unfit to be worked with; empty if nothing does."""
        if not _URL.fullmatch(self.url):
            return "the bundle's address is no http(s) URL of at most 2048 plain characters"
        if not _DIGEST.fullmatch(self.sha256):
            return "the bundle's SHA-256 is not 64 lower-case hexadecimal digits"
        if not _DIGEST.fullmatch(self.manifest_hash):
            return "the wanted manifest hash is not 64 lower-case hexadecimal digits"
        return ""


NO_BUNDLE: Final = Bundle(url="", size=0, version="")
"""Stands for a bundle that nobody described, or not in a way that could be written down."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the server wants this device to run."""

    action: str
    """The action's id: 1 to 19 decimal digits. It names the update in every report."""
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
    """The server's action; empty if the trial was begun by hand, so that nobody awaits a report."""
    bundle: Bundle
    base: str
    """Bootname of the slot that ran when the offer was accepted."""
    target: str
    """Bootname of the slot to be written."""
    replaces: str = ""
    """Version that ran when the offer was accepted; empty if nobody knows."""
    spent: int = 0
    """Patience spent on this stretch of the way; what it buys is in ``machine.PATIENCE``."""

    def spend(self, cost: int) -> Update:
        """The same update with that much less patience left."""
        return replace(self, spent=self.spent + cost)

    def rested(self) -> Update:
        """The same update on a new stretch of the way, with all its patience."""
        return replace(self, spent=0)


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
class Finished:
    """An update that has ended, and how. Kept, in case the server asks for it once more."""

    update: Update
    outcome: Outcome


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
