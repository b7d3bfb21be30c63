"""The same misfortune again and again: the power fails, the agent dies, a port fails."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from flipside_agent.diagram import SEEN, UPDATE
from flipside_agent.errors import Blame
from flipside_agent.setbacks import PATIENCE
from flipside_agent.states import (
    Abandoning,
    Activating,
    Checking,
    Committing,
    Confirming,
    Doubting,
    Installing,
    Preparing,
    Rebooting,
    RollingBack,
    State,
    Verifying,
)
from flipside_agent.update import Verdict
from models.lasting import FACTORY, Lasting, Running
from models.odd_beginnings import (
    BACK,
    HALFWAY,
    INCOMPLETE,
    LANDS,
    ON_TRIAL,
    UNCONFIRMED,
    WHILE_VERIFIED,
    End,
    Story,
    begin,
)
from models.power_switch import Cut
from models.scenario import BASE, FOREVER, Broken, Kind, Scenario
from models.world import World


@dataclass(frozen=True, slots=True)
class Again:
    """It happens in this state, at the first moment, so many times if it can."""

    state: type[State]
    deaths: bool = True
    """The agent dies; else the power fails."""
    most: int = 100
    times: int = 0
    """How often it can happen, if not ``most`` times."""

    def meets(self, cut: Cut) -> bool:
        """This is such a moment."""
        record = cut.left.record()
        here = record is not None and isinstance(record.state, self.state)
        return here and self.deaths == (cut.running is not None)


def _endure(scenario: Scenario, start: Lasting, chain: Iterable[Again], end: End) -> None:
    """Let one misfortune after the other happen, and then let the device live."""
    left, running = replace(start, faults=scenario.faults), None
    for again in chain:
        left, running = _repeated(scenario, left, running, again)
    world = World(scenario, left, running)
    world.run()
    end.check(world)
    # Nothing that was given up may boot again, whatever failed on the way.
    if end.slot == BASE and world.now.left[1]:
        raise Broken(f"{world.now.left[1]} attempts are left to a slot that was given up")


def _repeated(
    scenario: Scenario, left: Lasting, running: Running | None, again: Again
) -> tuple[Lasting, Running | None]:
    for count in range(again.most):
        world = World(scenario, left, running)
        world.run()
        # An agent that falls before it could write anything down cannot count that.
        news = (cut for cut in world.power.cuts if cut.left.record() != left.record())
        hit = next((cut for cut in news if again.meets(cut)), None)
        if hit is None:
            if count != again.times:
                raise Broken(f"{again.state.__name__}: {count} times, expected {again.times}")
            return left, running
        left, running = hit.left, hit.running
    if again.times:
        raise Broken(f"{again.state.__name__}: this has no end")
    return left, running


def _endless(state: type[State], deaths: bool, times: int, end: End, scenario: Scenario) -> None:
    start = begin(Installing(UPDATE, SEEN), ON_TRIAL) if state is Doubting else FACTORY
    _endure(scenario, start, [Again(state, deaths, times=times)], end)


def _spoilt(blame: Blame, times: int) -> None:
    """Each installation fails through one party's fault."""
    _fails(Scenario(spoiled=blame), "install", times, End(BASE, Verdict.FAILURE, "failed"))


def _fails(scenario: Scenario, verb: str, times: int, end: End) -> None:
    """A port fails, for so long or for ever."""
    world = World(scenario, replace(FACTORY, faults=scenario.faults), noting=False)
    world.run()
    end.check(world)
    if world.trace.count(f"{verb} fails") != times:
        raise Broken(f"{verb} was tried {world.trace.count(f'{verb} fails')} times, not {times}")


ENDLESS: Final = PATIENCE + 1
OFTEN: Final = 30
"""Nearly what one stretch of the way bears, and more than half of it."""

HEALTHY, SICK, PANIC = Scenario(), Scenario(Kind.SICK), Scenario(Kind.PANICKING)
DIED: Final = End(BASE, Verdict.FAILURE, "the agent died too often")
DOWN: Final = End(BASE, Verdict.FAILURE, "the device went down too often")
NEVER_CAME: Final = End(BASE, Verdict.FAILURE, "before its agent took over")


def _failing(verb: str, times: int, kind: Kind = Kind.HEALTHY) -> Scenario:
    return Scenario(kind, faults=((verb, times),))


_ENDLESS: Final[Mapping[str, Story]] = {
    f"{state.__name__}, {'the agent dies' if deaths else 'the power fails'} without end": partial(
        _endless, state, deaths, times, end, scenario
    )
    for state, deaths, times, end, scenario in (
        (Preparing, True, ENDLESS, DIED, HEALTHY),
        (Preparing, False, ENDLESS, DOWN, HEALTHY),
        (Installing, True, ENDLESS, DIED, HEALTHY),
        (Installing, False, ENDLESS, DOWN, HEALTHY),
        (Activating, True, ENDLESS, DIED, HEALTHY),
        (Activating, False, ENDLESS, DOWN, HEALTHY),
        (Rebooting, True, ENDLESS, DIED, HEALTHY),
        (Rebooting, False, 1, LANDS, HEALTHY),
        (Doubting, True, ENDLESS, DIED, HEALTHY),
        (Doubting, False, 3, WHILE_VERIFIED, HEALTHY),
        (Verifying, True, ENDLESS, DIED, HEALTHY),
        (Verifying, False, 3, WHILE_VERIFIED, HEALTHY),
        (Committing, True, ENDLESS, DIED, HEALTHY),
        (Committing, False, 3, UNCONFIRMED, HEALTHY),
        (RollingBack, True, 3, BACK, SICK),
        (RollingBack, False, 3, BACK, SICK),
        (Abandoning, True, ENDLESS, NEVER_CAME, PANIC),
        (Abandoning, False, ENDLESS, NEVER_CAME, PANIC),
        (Checking, True, ENDLESS, LANDS, HEALTHY),
        (Confirming, True, ENDLESS, LANDS, HEALTHY),
    )
}

_CHAINS: Final[Mapping[str, Story]] = {
    "patience comes back on the way": partial(
        _endure,
        HEALTHY,
        FACTORY,
        [Again(state, most=OFTEN) for state in (Installing, Activating, Rebooting, Verifying)],
        LANDS,
    ),
    "patience comes back on a trial": partial(
        _endure,
        HEALTHY,
        begin(Installing(UPDATE, SEEN), ON_TRIAL),
        [Again(state, most=OFTEN) for state in (Doubting, Verifying, Committing)],
        LANDS,
    ),
    "patience comes back for a rollback": partial(
        _endure, _failing("mark_bad", 3, Kind.SICK), FACTORY, [Again(Verifying, most=OFTEN)], BACK
    ),
    "patience comes back when a trial is given up": partial(
        _endure, _failing("mark_bad", 3), FACTORY, [Again(Verifying, times=ENDLESS)], DIED
    ),
    "patience comes back when half a slot is given up": partial(
        _endure,
        replace(_failing("mark_bad", 3), meddled=True),
        begin(Installing(UPDATE, SEEN), HALFWAY),
        [Again(Doubting, most=OFTEN)],
        INCOMPLETE,
    ),
    "patience comes back when a reboot is given up": partial(
        _endure, _failing("mark_bad", 3), FACTORY, [Again(Rebooting, times=ENDLESS)], DIED
    ),
    "patience comes back after a fallback": partial(
        _endure,
        PANIC,
        FACTORY,
        [Again(Rebooting, most=OFTEN), Again(Abandoning, times=ENDLESS)],
        NEVER_CAME,
    ),
}

_FAILING: Final[Mapping[str, Story]] = {
    **{
        f"installations fail, the {blame} is to blame": partial(_spoilt, blame, times)
        for blame, times in (
            (Blame.NETWORK, 41),
            (Blame.SERVER, 11),
            (Blame.DEVICE, 6),
            (Blame.UPDATE, 1),
            (Blame.OPERATOR, 1),
        )
    },
    **{
        f"{verb} fails": partial(
            _fails, _failing(verb, FOREVER), verb, 6, End(BASE, Verdict.FAILURE, f"{verb} failed")
        )
        for verb in ("inspect", "install", "activate", "reboot")
    },
    "mark_bad fails": partial(
        _fails, _failing("mark_bad", FOREVER, Kind.SICK), "mark_bad", 7, BACK
    ),
    "a long outage before the inspection": partial(
        _fails, Scenario(outage=(1, 100)), "inspect", 0, LANDS
    ),
    "a long outage before the installation": partial(
        _fails, Scenario(outage=(2, 100)), "install", 0, LANDS
    ),
}

MISFORTUNES: Final[Mapping[str, Story]] = {**_ENDLESS, **_CHAINS, **_FAILING}
