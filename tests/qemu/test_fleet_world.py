"""A model device's world: what is left to chance, what its boot loader does, how it had to end."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from flipside_agent.update import NO_BUNDLE, Bundle, Outcome, Update, Verdict
from flipside_qemu import fleet_world as worlds
from flipside_qemu.fleet_ending import Ending, contradiction, unrecorded
from flipside_qemu.fleet_fate import Dice, Fate, Odds, cut, fate
from flipside_qemu.fleet_world import Image, World

ODDS = Odds(fail=0.2, sick=0.1, fallback=0.1, cut=0.5)
UPDATE = Update("7", Bundle("http://x/fw", 10, "2"), base="A", target="B", replaces="1")


def _fates(seed: int) -> list[Fate]:
    return [fate(ODDS, Dice(seed, f"fleet-{number}"), 1) for number in range(1000)]


def test_the_same_seed_gives_every_device_the_same_fate_and_another_seed_another() -> None:
    assert _fates(1) == _fates(1)
    assert _fates(1) != _fates(2)


def test_shares_are_kept() -> None:
    found = Counter(_fates(1))
    assert 150 < found[Fate.FAILING] < 250
    assert 60 < found[Fate.SICK] < 140
    assert 60 < found[Fate.DEAD] < 140
    cuts = [cut(ODDS, Dice(1, f"fleet-{number}"), 1) for number in range(1000)]
    assert 400 < cuts.count(None) < 600
    assert all(0 <= one < 1 for one in cuts if one is not None)


def test_certainties_are_certain() -> None:
    dice = [Dice(3, f"fleet-{number}") for number in range(200)]
    assert {fate(Odds(sick=1.0), one, 4) for one in dice} == {Fate.SICK}
    assert {fate(Odds(), one, 4) for one in dice} == {Fate.GOOD}
    assert {cut(Odds(), one, 4) for one in dice} == {None}


def _tried(own: Fate) -> World:
    """A device that has installed an image of this fate and rebooted."""
    world = worlds.marked_good(worlds.started(worlds.fresh("1")))
    world = worlds.written(worlds.begun(world, "B"), "B", Image("2", "", own))
    return worlds.started(worlds.activated(world, "B"))


def test_a_good_image_comes_up_on_trial_and_stays_once_it_is_confirmed() -> None:
    world = _tried(Fate.GOOD)
    start = worlds.boot(world)
    assert (start.slot, start.other, start.trial, start.version) == ("B", "A", True, "2")
    world = worlds.started(worlds.marked_good(world))
    start = worlds.boot(world)
    assert (start.slot, start.trial) == ("B", False)


def test_each_start_is_another_boot() -> None:
    world = _tried(Fate.GOOD)
    assert worlds.boot(world).id != worlds.boot(worlds.started(world)).id


def test_a_dead_image_costs_three_starts_and_the_base_comes_up() -> None:
    world = _tried(Fate.DEAD)
    assert worlds.boot(world).slot == "A"
    assert not worlds.boot(world).trial
    assert world.starts == 1 + 3 + 1
    assert world.loader.slot("B").left == 0


def test_a_trial_that_nobody_confirms_is_left_after_three_starts() -> None:
    world = _tried(Fate.SICK)
    slots = []
    for _ in range(4):
        slots.append(world.booted)
        world = worlds.started(world)
    assert slots == ["B", "B", "B", "A"]


def test_a_slot_that_is_being_written_is_not_booted() -> None:
    world = worlds.begun(worlds.started(worlds.fresh("1")), "B")
    assert worlds.started(world).booted == "A"
    assert world.images["B"] is worlds.NOTHING


def _success() -> Ending:
    world = worlds.marked_good(_tried(Fate.GOOD))
    outcome = Outcome(Verdict.SUCCESS, "slot B is healthy and confirmed")
    return Ending("fleet-1", UPDATE, outcome, Fate.GOOD, world, taken=True)


def _failure(own: Fate, reason: str, check: str = "") -> Ending:
    outcome = Outcome(Verdict.FAILURE, reason, check)
    return Ending("fleet-1", UPDATE, outcome, own, worlds.fresh("1"), taken=True)


@pytest.mark.parametrize(
    "ending",
    [
        _success(),
        _failure(Fate.FAILING, "the payload is not what was signed"),
        _failure(Fate.SICK, "the application does not answer", "application"),
        _failure(Fate.DEAD, "slot B went down; the boot loader fell back to A"),
        replace(_failure(Fate.GOOD, ""), outcome=Outcome(Verdict.CANCELED, "cancelled")),
    ],
)
def test_what_had_to_come_contradicts_nothing(ending: Ending) -> None:
    assert contradiction(ending) == ""


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        (replace(_success(), taken=False), "did not want the result"),
        (replace(_success(), fate=Fate.SICK), "the image was sick and the result success"),
        (replace(_success(), world=worlds.fresh("1")), "but 1 runs"),
        (replace(_success(), world=_tried(Fate.GOOD)), "but 2 runs and is not"),
        (_failure(Fate.GOOD, "bad luck"), "the image was good and the result failure (bad luck)"),
        (_failure(Fate.SICK, "something"), "was not named"),
        (_failure(Fate.DEAD, "something"), "fell back and that was not told"),
        (replace(_failure(Fate.FAILING, ""), world=_tried(Fate.GOOD)), "ran 1 before and runs 2"),
        (
            replace(
                _failure(Fate.GOOD, "the deployment makes no sense"),
                update=replace(UPDATE, bundle=NO_BUNDLE),
            ),
            "makes no sense",
        ),
    ],
)
def test_every_contradiction_is_one_sentence(ending: Ending, said: str) -> None:
    found = contradiction(ending)
    assert found.startswith("fleet-1, action 7: ")
    assert said in found


def test_what_the_server_holds_has_to_be_what_it_was_told() -> None:
    success, failure = _success(), _failure(Fate.FAILING, "")
    assert unrecorded(success, "finished") == unrecorded(success, "closed") == ""
    assert unrecorded(failure, "error") == ""
    assert "holds it as error, and was told success" in unrecorded(success, "error")
    assert "holds it as not closed" in unrecorded(failure, "")
    canceled = replace(failure, outcome=Outcome(Verdict.CANCELED, "cancelled"))
    assert unrecorded(canceled, "") == unrecorded(canceled, "canceled") == ""
