"""What the version that a device shows says about its actions.

Stock clients report success when the update is written, before it has booted
(rauc-hawkbit-updater issue 161): such a report can be held until the device shows the version.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from flipside_server.action import Action, Change, Kind, State

VERSION_ATTRIBUTES = ("version", "sw_version", "sw-version", "swVersion", "os_version")
"""Attributes that are looked at for the running version, the first that is there counts."""


def version(attributes: Mapping[str, str], names: Iterable[str]) -> str:
    """The version that a device with these attributes shows; empty if none."""
    return next((attributes[name] for name in names if attributes.get(name)), "")


def judged(action: Action, versions: Collection[str], shown: str) -> Change | None:
    """What follows for a held action once the device shows a version.

    An older one proves nothing yet: the device may not have rebooted.
    """
    if action.state is not State.INSTALLED or shown not in versions:
        return None
    message = f"Update Server: the device shows {shown}."
    return Change(replace(action, state=State.FINISHED), Kind.FINISHED, (message,))


def is_overdue(action: Action, now: int) -> bool:
    """Whether the action is held, and its time is over (milliseconds since 1970)."""
    return action.state is State.INSTALLED and now >= action.held_until


def overdue(action: Action, shown: str) -> Change:
    """What follows for a held action whose time is over."""
    told = f"it shows {shown}" if shown else "it shows no version"
    message = (
        "Update Server: success was reported, but the device never showed the new version in "
        f"the time it had; {told}."
    )
    return Change(replace(action, state=State.ERROR), Kind.ERROR, (message,))


def declared(action: Action, wanted: int, label: str) -> Change | None:
    """What follows for an action when the device says that it runs this distribution set."""
    message = (f"Update Server: the device says that it runs {label}.",)
    if action.closed:
        return None
    if action.distribution_set == wanted:
        return Change(replace(action, state=State.FINISHED), Kind.FINISHED, message)
    if action.state is State.INSTALLED:
        return Change(replace(action, state=State.ERROR), Kind.ERROR, message)
    return None


def fallen_back(
    installed: Collection[str], earlier: Collection[str], shown: str, *, proven: bool
) -> bool:
    """Whether a device that shows this version lost what it had installed.

    Only if it is known to show versions as the sets are named: it showed the installed one once
    (``proven``), or what it shows now is one that it had earlier.
    """
    return bool(shown) and shown not in installed and (proven or shown in earlier)
