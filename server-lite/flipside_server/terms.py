"""On what terms a distribution set is assigned, and what a device is offered by them now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from flipside_server.window import ALWAYS, Window, turn

AS_CONFIGURED = -1
"""A hold that the server's settings decide."""


class Urgency(StrEnum):
    """Who decides when the device installs, in hawkBit's words."""

    FORCED = "forced"
    SOFT = "soft"
    TIMEFORCED = "timeforced"
    DOWNLOAD_ONLY = "downloadonly"


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed when the set was assigned."""

    urgency: Urgency = Urgency.FORCED
    forced_at: int = 0
    """When a timeforced action becomes forced: milliseconds since 1970."""
    window: Window = ALWAYS
    hold: int = AS_CONFIGURED
    """Seconds within which a reported success must show itself; 0 to believe it as it is."""


AT_ONCE = Terms()


@dataclass(frozen=True, slots=True)
class Offer:
    """What a device is told to do with a deployment (DDI ``deployment``)."""

    download: str
    update: str
    window: str = ""
    """``available``, ``unavailable``, or empty for no window."""
    opens: int | None = None
    """Milliseconds until the window opens, if it is closed and ever will."""


def offer(terms: Terms, now: int) -> Offer:
    """What these terms say now (milliseconds since 1970)."""
    wanted = "forced" if _forced(terms, now) else "attempt"
    if terms.urgency is Urgency.DOWNLOAD_ONLY:
        return Offer("forced", "skip")
    if not terms.window.schedule:
        return Offer(wanted, wanted)
    seen = turn(terms.window, now)
    if seen.open:
        return Offer(wanted, wanted, "available")
    return Offer(wanted, "skip", "unavailable", seen.left)


def opened(found: Offer) -> Offer:
    """The offer as if its window, which is closed, were open."""
    return Offer(found.download, found.download, "available")


def _forced(terms: Terms, now: int) -> bool:
    if terms.urgency is Urgency.TIMEFORCED:
        return now >= terms.forced_at
    return terms.urgency is not Urgency.SOFT


def verifies_boot(agent: str) -> bool:
    """Whether the client of that User-Agent reports success only after a verified boot."""
    return agent.startswith("flipside-agent")


def mistakes_skip(agent: str, filenames: Iterable[str]) -> bool:
    """Whether the client takes ``update: skip`` for an update that is done.

    SWUpdate does. It names itself as libcurl's examples do, and it alone installs ``.swu`` files.
    """
    return agent.startswith("libcurl-agent/") or any(name.endswith(".swu") for name in filenames)
