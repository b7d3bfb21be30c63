"""Beginnings that no ordinary life leads to: this state in the journal, and that slot comes up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from flipside_agent.diagram import FAILURE, SEEN, UPDATE
from flipside_agent.page import Page, seal
from flipside_agent.record import FORMAT, Record, encode
from flipside_agent.states import (
    Abandoning,
    Committing,
    Doubting,
    Idle,
    Installing,
    Preparing,
    Reporting,
    Returning,
    RollingBack,
    State,
    Waiting,
)
from flipside_agent.update import Finished, Outcome, Verdict
from models.cuts import explore
from models.lasting import FACTORY, Image, Lasting, Slot
from models.scenario import BASE, FOREVER, TARGET, WANTED, Broken, Kind, Scenario
from models.world import World

Story = Callable[[], None]


@dataclass(frozen=True, slots=True)
class End:
    """How a story has to end."""

    slot: str
    verdict: Verdict | None
    words: str = ""

    def check(self, world: World, _cuts: int = 0) -> None:
        """Raise Broken unless it did."""
        if world.power.here.slot != self.slot:
            raise Broken(f"{world.power.here} runs, and not {self.slot}")
        told = world.now.verdicts[-1] if world.now.verdicts else None
        if (told and told.verdict) != self.verdict or (told and self.words not in told.reason):
            raise Broken(f"{told} was told, and not {self.verdict}: {self.words}")


def begin(state: State, start: Lasting) -> Lasting:
    """This, with that state in the journal."""
    page = seal(Page(1, FORMAT, encode(Record(state, boot="earlier"))))
    return replace(start, pages=(page, b""))


def _odd(state: State, start: Lasting, end: End, scenario: Scenario | None = None) -> None:
    explore(scenario or Scenario(), 1, end.check, begin(state, start))


def _told_again(last: Finished, start: Lasting, end: End) -> None:
    """The server asks for what was done before: nothing is installed, the result is told."""
    world = World(Scenario(), begin(Idle(last), start))
    world.run()
    end.check(world)
    if world.now.slots != start.slots:
        raise Broken("an action was done twice")


def _recovers() -> None:
    """The base is not well, and then it is: it gets its boots back."""
    scenario = Scenario(quiet=True, faults=(("probe", 3),))
    world = World(scenario, replace(FACTORY, faults=scenario.faults))
    world.run()
    if world.now.left[0] != FACTORY.left[0]:
        raise Broken("a boot that turned out well was not confirmed")


SUCCESS: Final = Outcome(Verdict.SUCCESS, "slot B is healthy and confirmed")
NEW: Final = (Slot(), Slot(Image.NEW, manifest_hash=WANTED))

FROM_BASE: Final = FACTORY
ON_TRIAL: Final = Lasting(primary=TARGET, left=(9, 3), slots=NEW)
LANDED: Final = replace(ON_TRIAL, left=(9, 9), confirmed=(True, True), committed=TARGET)
LEFT: Final = Lasting(left=(0, 9), confirmed=(True, True))
"""The base did not confirm nine boots; the other slot holds what it held before, confirmed."""
HALFWAY: Final = replace(ON_TRIAL, slots=(Slot(), replace(NEW[1], written=False)))
OTHERS: Final = replace(ON_TRIAL, slots=(Slot(), replace(NEW[1], manifest_hash="9" * 64)))

LANDS: Final = End(TARGET, Verdict.SUCCESS)
BACK: Final = End(BASE, Verdict.FAILURE, FAILURE.reason)
STUCK: Final = End(TARGET, Verdict.FAILURE, "could not leave slot B")
UNTOUCHED: Final = End(TARGET, Verdict.FAILURE, "the device left slot A before")
INCOMPLETE: Final = End(BASE, Verdict.FAILURE, "before it was completely written")
GONE: Final = End(BASE, Verdict.FAILURE, "the device left slot B after it had been confirmed")
WHILE_VERIFIED: Final = End(BASE, Verdict.FAILURE, "while it was verified")
UNCONFIRMED: Final = End(BASE, Verdict.FAILURE, "before it was confirmed")
CANCELLED: Final = End(BASE, Verdict.CANCELED, "cancelled while")

QUIET, QUIET_SICK = Scenario(quiet=True), Scenario(Kind.SICK, quiet=True)
CANCELLING: Final = Scenario(cancelled_from=0, eager=True)
AT_EASE: Final = Scenario(cancelled_from=0, eager=True, counted=False)
"""The same on a device where nothing has to be confirmed first."""
STUBBORN: Final = Scenario(faults=(("mark_bad", FOREVER),))

ODD_BEGINNINGS: Final[Mapping[str, Story]] = {
    "a trial begun by hand lands": partial(_odd, Idle(), ON_TRIAL, End(TARGET, None), QUIET),
    "a sick one goes back": partial(_odd, Idle(), ON_TRIAL, End(BASE, None), QUIET_SICK),
    "a base recovers": _recovers,
    "a failure is told again": partial(_told_again, Finished(UPDATE, FAILURE), FROM_BASE, BACK),
    "a success is told again": partial(_told_again, Finished(UPDATE, SUCCESS), LANDED, LANDS),
    "a success that was left, told again": partial(
        _told_again, Finished(UPDATE, SUCCESS), replace(FROM_BASE, slots=NEW), GONE
    ),
    "a success that was left": partial(_odd, Reporting(UPDATE, SUCCESS), FROM_BASE, GONE),
    "a success that runs": partial(_odd, Reporting(UPDATE, SUCCESS), LANDED, LANDS),
    "preparing, base left": partial(_odd, Preparing(UPDATE), LEFT, UNTOUCHED),
    "waiting, base left": partial(_odd, Waiting(UPDATE), LEFT, UNTOUCHED),
    "waiting to install, base left": partial(_odd, Waiting(UPDATE, SEEN), LEFT, UNTOUCHED),
    "installing, base left": partial(_odd, Installing(UPDATE, SEEN), LEFT, UNTOUCHED),
    "preparing, on trial": partial(_odd, Preparing(UPDATE), ON_TRIAL, UNTOUCHED),
    "waiting to install, on trial": partial(_odd, Waiting(UPDATE, SEEN), ON_TRIAL, LANDS),
    "installing, on trial": partial(_odd, Installing(UPDATE, SEEN), ON_TRIAL, LANDS),
    "installing, half on trial": partial(_odd, Installing(UPDATE, SEEN), HALFWAY, INCOMPLETE),
    "installing, other on trial": partial(_odd, Installing(UPDATE, SEEN), OTHERS, INCOMPLETE),
    "abandoning, on trial": partial(_odd, Abandoning(UPDATE, FAILURE), ON_TRIAL, BACK),
    "returning, on trial": partial(_odd, Returning(UPDATE, FAILURE), ON_TRIAL, BACK),
    "rolling back, stuck": partial(_odd, RollingBack(UPDATE, FAILURE), LANDED, STUCK, STUBBORN),
    "doubting, from base": partial(_odd, Doubting(UPDATE, SEEN), FROM_BASE, WHILE_VERIFIED),
    "committing, from base": partial(_odd, Committing(UPDATE), FROM_BASE, UNCONFIRMED),
    "preparing, cancelled": partial(_odd, Preparing(UPDATE), FROM_BASE, CANCELLED, CANCELLING),
    "waiting, cancelled": partial(_odd, Waiting(UPDATE, SEEN), FROM_BASE, CANCELLED, CANCELLING),
    "preparing at ease, cancelled": partial(_odd, Preparing(UPDATE), FROM_BASE, CANCELLED, AT_EASE),
    "waiting at ease, cancelled": partial(
        _odd, Waiting(UPDATE, SEEN), FROM_BASE, CANCELLED, AT_EASE
    ),
    "installing, too late": partial(_odd, Installing(UPDATE, SEEN), FROM_BASE, LANDS, CANCELLING),
}
