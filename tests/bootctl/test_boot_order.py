from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flipside_bootctl import boot_order
from flipside_bootctl.errors import DamagedState
from flipside_bootctl.state import BAD, BootState, Slot

SLOTS = st.builds(Slot, st.integers(0, 9), st.booleans())
STATES = st.builds(
    lambda primary, a, b: BootState(primary, {"A": a, "B": b}), st.sampled_from("AB"), SLOTS, SLOTS
)


@given(STATES)
def test_what_is_said_is_understood(state: BootState) -> None:
    assert boot_order.from_variables(boot_order.to_variables(state)) == state


def test_raucs_own_variables_are_understood() -> None:
    state = boot_order.from_variables({"BOOT_ORDER": "B A", "BOOT_A_LEFT": "3", "BOOT_B_LEFT": "2"})
    assert state.order() == ("B", "A")
    assert state.slots == {"A": Slot(3, confirmed=True), "B": Slot(2, confirmed=True)}


def test_a_slot_that_rauc_took_out_of_the_order_is_bad() -> None:
    state = boot_order.from_variables({"BOOT_ORDER": "A", "BOOT_A_LEFT": "3", "BOOT_B_LEFT": "0"})
    assert state.slot("B") == BAD


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"BOOT_ORDER": ""}, "BOOT_ORDER is ''"),
        ({"BOOT_ORDER": "system0 system1"}, "BOOT_ORDER is 'system0 system1'"),
        ({"BOOT_A_LEFT": ""}, "BOOT_A_LEFT is ''"),
        ({"BOOT_A_LEFT": "10"}, "BOOT_A_LEFT is '10', expected one digit"),
        ({"BOOT_A_LEFT": "a"}, "expected one digit"),
        ({"BOOT_B_LEFT": "-1"}, "BOOT_B_LEFT is '-1'"),
    ],
)
def test_variables_that_make_no_sense(changed: dict[str, str], words: str) -> None:
    variables = {**boot_order.to_variables(boot_order.at_first()), **changed}
    with pytest.raises(DamagedState, match=words):
        boot_order.from_variables(variables)


@given(st.dictionaries(st.sampled_from(["BOOT_ORDER", "BOOT_A_LEFT", "BOOT_B_LEFT"]), st.text()))
def test_any_variables_are_refused_or_understood(variables: dict[str, str]) -> None:
    try:
        state = boot_order.from_variables(variables)
    except DamagedState:
        return
    assert all(0 <= slot.left <= 9 for slot in state.slots.values())
