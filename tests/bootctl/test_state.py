from __future__ import annotations

import pytest

from flipside_bootctl import counted, state
from flipside_bootctl.counted import CAPABILITIES
from flipside_bootctl.errors import DamagedState, NothingBootable, UnknownSlot
from flipside_bootctl.state import BAD, BootState, Slot

CONFIRMED = Slot(left=9, confirmed=True)
TRIAL = Slot(left=3, confirmed=False)


def running(a: Slot = CONFIRMED, b: Slot = BAD, primary: str = "A") -> BootState:
    return BootState(primary, {"A": a, "B": b})


def test_a_selected_slot_is_on_trial_and_next() -> None:
    chosen = state.select(running(), "B", CAPABILITIES)
    assert chosen.slot("B") == TRIAL
    assert chosen.next_slot() == "B"
    assert chosen.slot("A") == CONFIRMED


def test_selecting_a_confirmed_slot_keeps_it_confirmed() -> None:
    used = Slot(left=5, confirmed=True)
    assert state.select(running(b=used), "B", CAPABILITIES).slot("B") == used


def test_a_confirmed_slot_that_used_up_its_boots_is_selected_on_trial() -> None:
    worn = Slot(left=0, confirmed=True)
    assert state.select(running(b=worn), "B", CAPABILITIES).slot("B") == TRIAL


def test_a_bad_primary_leaves_the_other_slot_next() -> None:
    on_trial = state.select(running(), "B", CAPABILITIES)
    assert state.mark_bad(on_trial, "B").next_slot() == "A"


def test_mark_good_gives_back_the_full_budget() -> None:
    worn = running(a=Slot(left=1, confirmed=True))
    assert state.mark_good(worn, "A", CAPABILITIES).slot("A") == CONFIRMED


def test_a_confirmed_slot_has_several_times_the_attempts_of_a_trial() -> None:
    assert CAPABILITIES.confirmed_attempts >= 3 * CAPABILITIES.trial_attempts


def test_nothing_bootable_is_said() -> None:
    with pytest.raises(NothingBootable, match="decides alone"):
        running(a=BAD).next_slot()


def test_an_unknown_slot_is_named() -> None:
    with pytest.raises(UnknownSlot, match="'C' is not a slot of this device, expected A or B"):
        state.mark_bad(running(), "C")


@pytest.mark.parametrize("primary", ["A", "B"])
@pytest.mark.parametrize("slot", [BAD, TRIAL, CONFIRMED, Slot(1, confirmed=True)])
def test_every_state_survives_its_variables(primary: str, slot: Slot) -> None:
    before = running(b=slot, primary=primary)
    assert counted.from_variables(counted.to_variables(before)) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [("primary", "C"), ("A_left", "10"), ("A_left", ""), ("B_left", "x"), ("B_confirmed", "yes")],
)
def test_variables_that_make_no_sense_are_damage(name: str, value: str) -> None:
    variables = {**counted.to_variables(running()), name: value}
    with pytest.raises(DamagedState, match=f"{name} is '{value}', expected"):
        counted.from_variables(variables)


def test_a_rebuilt_state_boots_the_committed_slot_and_no_other() -> None:
    rebuilt = counted.rebuilt("B")
    assert rebuilt.next_slot() == "B"
    assert rebuilt.slot("A") == BAD
