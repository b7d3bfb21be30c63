"""What must be true of a device that came to rest, whatever happened on the way."""

from __future__ import annotations

from typing import Final

from flipside_agent.states import Idle, State
from flipside_agent.update import Outcome, Verdict
from flipside_bootctl import counted
from models.lasting import Image, Lasting
from models.scenario import BASE, TARGET, Broken, Kind, Scenario
from models.world import World, is_ailing

TRIES: Final = counted.CAPABILITIES.trial_attempts
FULL: Final = counted.CAPABILITIES.confirmed_attempts
WORDS: Final = {
    Kind.HANGING: "while it was verified",
    Kind.PANICKING: "before its agent took over",
    Kind.AGENTLESS: "before its agent took over",
}


def at_rest(world: World, cuts: int) -> None:
    """Raise Broken unless device, server and boot loader agree, and nothing more happens."""
    scenario, now = world.scenario, world.now
    if not now.verdicts:
        raise Broken("the result was forgotten")
    told = now.verdicts[-1]
    if told.verdict not in _possible(scenario, cuts):
        raise Broken(f"{told} was not to be expected after {cuts} cuts")
    _check_reason(scenario, cuts, told)
    _check_slots(world, told)
    _check_state(now, told)
    _check_peace(world)


def _possible(scenario: Scenario, cuts: int) -> set[Verdict]:
    if scenario.cancelled_from < 100:
        return set(Verdict)
    if scenario.refused or scenario.other_hash or scenario.kind is not Kind.HEALTHY:
        return {Verdict.FAILURE}
    if scenario.faults or scenario.spoiled or scenario.torn_states:
        return {Verdict.SUCCESS, Verdict.FAILURE}
    # A trial has so many tries; a healthy update survives all cuts but that one.
    return {Verdict.SUCCESS} if cuts < TRIES else {Verdict.SUCCESS, Verdict.FAILURE}


def _check_reason(scenario: Scenario, cuts: int, told: Outcome) -> None:
    """A rollback says why, as long as the trial had a try left to find out."""
    quiet = (
        scenario.faults
        or scenario.spoiled
        or scenario.torn_states
        or scenario.refused
        or scenario.other_hash
    )
    if quiet or cuts >= TRIES or told.verdict is not Verdict.FAILURE:
        return
    if scenario.kind is Kind.SICK and told.check != "probe":
        raise Broken(f"{told} does not name the check that failed")
    if WORDS.get(scenario.kind, "") not in told.reason:
        raise Broken(f"{told} does not say what happened")


def _check_slots(world: World, told: Outcome) -> None:
    scenario, now = world.scenario, world.now
    here, states = world.power.here.slot, now.boot_state()
    landed = told.verdict is Verdict.SUCCESS
    if here != (TARGET if landed else BASE):
        raise Broken(f"{told} was told, but slot {here} runs")
    if now.slot(here).image is not (Image.NEW if landed else Image.OLD):
        raise Broken(f"{now.slot(here)} runs")
    if scenario.faults:
        return
    if now.committed != here or states.next_slot() != here:
        raise Broken(f"{told} was told in slot {here}, but {now.committed} is committed")
    if not landed and states.slot(TARGET).left:
        raise Broken("a slot that was given up may boot again")
    if scenario.counted and not scenario.ailing_base and states.slot(here).left != FULL:
        raise Broken(f"the boot of slot {here} was never confirmed")


def _check_state(now: Lasting, told: Outcome) -> None:
    state: State = record.state if (record := now.record()) else Idle()
    if not isinstance(state, Idle) and not is_ailing(state):
        raise Broken(f"the device rests in {state}")
    last = state.last if isinstance(state, Idle) else None
    if last and last.outcome.verdict is not told.verdict:
        raise Broken(f"the device remembers {last.outcome}, the server {told}")


def _check_peace(world: World) -> None:
    """Another power cycle, and nothing happens."""
    again = World(world.scenario, world.now, noting=False)
    now, before = again.run(), world.now
    if (now.verdicts, now.slots) != (before.verdicts, before.slots) or again.boots != 1:
        raise Broken("there is no peace")
    if again.power.here.slot != world.power.here.slot:
        raise Broken(f"slot {world.power.here.slot} ran, and now {again.power.here.slot} does")
