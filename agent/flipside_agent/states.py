"""Where a device can be: each state is a participle, and owes at most one thing.

What it owes and what follows is in :mod:`flipside_agent.machine`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from flipside_agent.update import Finished, Inspection, Outcome, Update


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing is under way."""

    last: Finished | None = None
    """The update that ended last: the server may ask for its result again."""


@dataclass(frozen=True, slots=True)
class Preparing:
    """The bundle is looked at; nothing has been written."""

    update: Update


@dataclass(frozen=True, slots=True)
class Waiting:
    """The network went away; the update goes on when the server answers again."""

    update: Update
    inspection: Inspection | None = None
    """Present if the outage broke an installation rather than an inspection."""


@dataclass(frozen=True, slots=True)
class Installing:
    """The target slot is being written, and is not to be trusted."""

    update: Update
    inspection: Inspection


@dataclass(frozen=True, slots=True)
class Doubting:
    """A slot that we were still writing came up as a trial: somebody else activated it."""

    update: Update
    inspection: Inspection


@dataclass(frozen=True, slots=True)
class Activating:
    """The target slot is complete, and from here on it may come up at any moment."""

    update: Update


@dataclass(frozen=True, slots=True)
class Rebooting:
    """The target slot boots next."""

    update: Update


@dataclass(frozen=True, slots=True)
class Verifying:
    """The target slot runs, on trial."""

    update: Update


@dataclass(frozen=True, slots=True)
class Committing:
    """The target slot proved healthy and is to be confirmed."""

    update: Update


@dataclass(frozen=True, slots=True)
class RollingBack:
    """The target slot runs and is to be given up."""

    update: Update
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Returning:
    """The target slot was given up, but still runs."""

    update: Update
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Abandoning:
    """The base slot runs and must see to it that the target does not come up again."""

    update: Update
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Reporting:
    """The update has ended and the server has not taken the result yet."""

    update: Update
    outcome: Outcome


Ordinary = Idle | Preparing | Waiting | Installing | Activating | Abandoning | Reporting
"""What can be under way on an ordinary boot, one that is nobody's trial."""


@dataclass(frozen=True, slots=True)
class Checking:
    """An ordinary boot that the scheme counts: is the slot that was confirmed once still well?"""

    then: Ordinary
    """What was under way, and goes on afterwards."""
    spent: int = 0
    """Patience spent, as in an update."""


@dataclass(frozen=True, slots=True)
class Confirming:
    """An ordinary boot that is well and is to be confirmed."""

    then: Ordinary
    spent: int = 0


OnTrial = Doubting | Verifying | Committing | RollingBack | Returning
"""The target runs, and this update decides about it."""

State = Ordinary | OnTrial | Rebooting | Checking | Confirming


class Status(StrEnum):
    """What a user sees of a state."""

    IDLE = "idle"
    WAITING = "waiting"
    PREPARING = "preparing"
    INSTALLING = "installing"
    REBOOTING = "rebooting"
    VERIFYING = "verifying"
    COMMITTING = "committing"
    ROLLING_BACK = "rolling back"
    REPORTING = "reporting"


def status(state: State) -> Status:
    """The state in the words that a user sees."""
    match state:
        case Idle():
            return Status.IDLE
        case Preparing():
            return Status.PREPARING
        case Waiting():
            return Status.WAITING
        case Installing() | Activating():
            return Status.INSTALLING
        case Rebooting():
            return Status.REBOOTING
        case Checking() | Doubting() | Verifying():
            return Status.VERIFYING
        case Confirming() | Committing():
            return Status.COMMITTING
        case RollingBack() | Returning() | Abandoning():
            return Status.ROLLING_BACK
        case Reporting():
            return Status.REPORTING
    assert_never(state)


def under_way(state: State) -> Update | None:
    """The update that is under way, if one is."""
    match state:
        case Idle():
            return None
        case Checking(then) | Confirming(then):
            return under_way(then)
        case _:
            return state.update


def sentence(state: State) -> str:
    """The state as a person would say it."""
    update = under_way(state)
    if update is None:
        return str(status(state))
    return f"{status(state)}: {update.bundle.version or 'a trial'} in slot {update.target}"
