"""How an update of a model device ended, and whether it had to end like that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flipside_agent.update import Outcome, Update, Verdict
from flipside_qemu.fleet_fate import Fate
from flipside_qemu.fleet_world import World

_RECORDED: Final = {
    Verdict.SUCCESS: ("finished", "closed"),
    Verdict.FAILURE: ("error", "closed"),
    Verdict.CANCELED: ("canceled", ""),
}


@dataclass(frozen=True, slots=True)
class Ending:
    """One update, once the server was told of its end."""

    device: str
    update: Update
    outcome: Outcome
    fate: Fate
    world: World
    taken: bool
    """The server took the result, and did not say that it knows no such action."""


def contradiction(ending: Ending) -> str:
    """What is not as the device's world says it had to be, as one sentence; empty if all is."""
    found = _flaw(ending)
    return f"{ending.device}, action {ending.update.action}: {found}" if found else ""


def unrecorded(ending: Ending, recorded: str) -> str:
    """What the server holds otherwise than it was told, as one sentence; empty if nothing.

    ``recorded`` is the server's word for the closed action, "closed" if it has no other; empty if
    it says that no such action is closed, as hawkBit does of a cancelled one.
    """
    due = _RECORDED[ending.outcome.verdict]
    if recorded in due:
        return ""
    return (
        f"{ending.device}, action {ending.update.action}: the server holds it as"
        f" {recorded or 'not closed'}, and was told {ending.outcome.verdict}"
    )


def _flaw(ending: Ending) -> str:
    verdict, running = ending.outcome.verdict, ending.world.running.version
    if not ending.taken:
        return f"the server did not want the result, which was {verdict}"
    if verdict is Verdict.CANCELED:
        return _stayed(ending)
    if verdict is not _due(ending.fate):
        said = f"{verdict} ({ending.outcome.reason})"
        return f"the image was {ending.fate} and the result {said}, expected {_due(ending.fate)}"
    if verdict is Verdict.FAILURE:
        return _misexplained(ending) or _stayed(ending)
    if running != ending.update.bundle.version or not ending.world.confirmed:
        return f"a success was told, but {running or 'nothing'} runs and is not the new version"
    return ""


def _due(fate: Fate) -> Verdict:
    return Verdict.SUCCESS if fate is Fate.GOOD else Verdict.FAILURE


def _misexplained(ending: Ending) -> str:
    """A failure has to name its reason."""
    reason, check = ending.outcome.reason, ending.outcome.check
    if ending.fate is Fate.SICK and not check:
        return f"a health check failed and was not named: {reason}"
    if ending.fate is Fate.DEAD and "fell back" not in reason:
        return f"the boot loader fell back and that was not told: {reason}"
    return ""


def _stayed(ending: Ending) -> str:
    """After anything but a success the device runs what it ran before."""
    before, now = ending.update.replaces, ending.world.running.version
    return "" if before == now else f"it ran {before} before and runs {now} now"
