"""The boot script in Debian's own U-Boot: what it starts, and what it counts, is what we say."""

from __future__ import annotations

from pathlib import Path

import pytest

from flipside_bootctl import boot_order, uboot_env
from flipside_bootctl.state import BAD, BootState, Slot
from flipside_bootctl.uboot_env import Copy
from flipside_qemu.hardware import VIRT
from flipside_qemu.workbench import Workbench
from models.uboot_board import ENV_SIZE, Board

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TRIAL = "flipside.trial=1"
GOOD, SPENT = Slot(9, confirmed=True), Slot(0, confirmed=True)
ON_TRIAL = Slot(3, confirmed=False)
STATES = {
    "trial of B": BootState("B", {"A": GOOD, "B": ON_TRIAL}),
    "last try of B": BootState("B", {"A": GOOD, "B": Slot(1, confirmed=False)}),
    "B is bad": BootState("B", {"A": GOOD, "B": BAD}),
    "both confirmed": BootState("A", {"A": Slot(4, confirmed=True), "B": GOOD}),
    "nothing left": BootState("A", {"A": BAD, "B": SPENT}),
}


@pytest.fixture
def board(bench: Workbench, tmp_path: Path) -> Board:
    return Board(bench, VIRT.toolbox(bench.cache), tmp_path)


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_slots_are_started_in_order_and_each_start_is_counted(
    board: Board, state: BootState
) -> None:
    board.make(uboot_env.encode(Copy(boot_order.to_variables(state)), ENV_SIZE))
    assert board.boot() == starts(state)
    assert boot_order.from_variables(board.environment().variables) == counted(state)


def test_with_a_torn_environment_both_slots_are_on_trial(board: Board) -> None:
    variables = boot_order.to_variables(STATES["trial of B"])
    torn = bytearray(uboot_env.encode(Copy(variables), ENV_SIZE))
    torn[512:] = bytes(ENV_SIZE - 512)
    torn[100] ^= 1
    board.make(bytes(torn))
    assert board.boot() == starts(boot_order.at_first())
    after = boot_order.from_variables(board.environment().variables)
    assert after == counted(boot_order.at_first())


def starts(state: BootState) -> list[tuple[str, str]]:
    """What is started when no kernel can be loaded: all with attempts, then the last resorts."""
    slots = state.slots
    left = [name for name in state.order() if slots[name].left]
    tried = [(name, "" if slots[name].confirmed else TRIAL) for name in left]
    return [
        *tried,
        *((name, "") for name in sorted(slots) if slots[name].confirmed),
        *((name, "") for name in state.order()),
    ]


def counted(state: BootState) -> BootState:
    """The state when every slot with attempts was started once."""
    slots = {name: slot._replace(left=max(slot.left - 1, 0)) for name, slot in state.slots.items()}
    return state._replace(slots=slots)
