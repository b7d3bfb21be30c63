"""A data partition that can be read and takes no more writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flipside_agent.boot import Boot
from flipside_agent.commands import CheckHealth, MarkGood
from flipside_agent.diagram import BUNDLE, SEEN, UPDATE
from flipside_agent.errors import DeviceError
from flipside_agent.events import Healthy, MarkedGood, Offered
from flipside_agent.journal import Journal
from flipside_agent.page import Page, seal
from flipside_agent.record import FORMAT, Record, encode
from flipside_agent.runner import Runner
from flipside_agent.states import Idle, Installing, State
from flipside_agent.update import Offer
from models.odd_beginnings import Story
from models.scenario import Broken


class WornDisk:
    """A journal that tells of an installation, or of nothing, and cannot be written on."""

    def __init__(self, state: State) -> None:
        self._state = state

    def read(self, number: int) -> bytes:
        """Return what was written while that was possible."""
        record = Record(self._state, boot="earlier")
        return b"" if number else seal(Page(1, FORMAT, encode(record)))

    def write(self, number: int, raw: bytes) -> None:
        """Refuse."""
        raise DeviceError("the disk takes no more writes")


def _runner(*, trial: bool) -> Runner:
    slot, other = ("B", "A") if trial else ("A", "B")
    return Runner(
        Journal(WornDisk(Installing(UPDATE, SEEN))),
        Boot("now", slot, other, trial=trial, counted=True),
    )


def _a_confirmed_slot_is_kept() -> None:
    runner = _runner(trial=False)
    runner.start()
    owed = [runner.owed]
    for event in (Healthy(), MarkedGood()):
        runner.take(event)
        owed.append(runner.owed)
    if owed != [CheckHealth(), MarkGood(), None] or not runner.unwritten:
        raise Broken(f"without a journal the device owed {owed}")


def _an_offer_is_not_taken() -> None:
    boot = Boot("now", "A", "B", trial=False, counted=False)
    runner = Runner(Journal(WornDisk(Idle())), boot)
    runner.start()
    runner.take(Offered(Offer("9", BUNDLE), "A", "B"))
    if runner.owed or not runner.unwritten:
        raise Broken(f"an offer was taken that nobody could write down: {runner.state}")


def _a_trial_is_left_to_the_boot_counter() -> None:
    runner = _runner(trial=True)
    try:
        runner.start()
    except DeviceError:
        return
    raise Broken("a trial went on that nobody could write down")


WORN_DISK: Final[Mapping[str, Story]] = {
    "a worn disk, confirmed": _a_confirmed_slot_is_kept,
    "a worn disk, and an offer": _an_offer_is_not_taken,
    "a worn disk, on trial": _a_trial_is_left_to_the_boot_counter,
}
