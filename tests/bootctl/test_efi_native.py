from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flipside_bootctl import efi_order
from flipside_bootctl.efi_load_option import ACTIVE, LoadOption
from flipside_bootctl.efi_native import FOR_GOOD, EfiNative, booted
from flipside_bootctl.efi_order import BootManager
from flipside_bootctl.efivars import EfiVars
from flipside_bootctl.errors import (
    DamagedState,
    NoScheme,
    NothingBootable,
    StateNotStored,
    UnknownSlot,
)
from flipside_bootctl.state import BAD, BootState, Slot
from models.efi_firmware import STORED, Cut, Firmware

CONFIRMED, TRIAL = Slot(1, confirmed=True), Slot(1, confirmed=False)
PXE, A, B = 0, 1, 2


@pytest.fixture
def firmware(tmp_path: Path) -> Iterator[Firmware]:
    """Runs from slot A; B has an entry and is not in the order."""
    firmware = Firmware(tmp_path)
    for number, label in ((PXE, "PXE"), (A, "A"), (B, "B")):
        firmware.enter(number, label)
    firmware.order(A, PXE)
    firmware.boot()
    with firmware.power_until():
        yield firmware


@pytest.fixture
def scheme(firmware: Firmware, tmp_path: Path) -> EfiNative:
    return EfiNative(EfiVars(tmp_path), ("A", "B"))


def test_a_whole_update(scheme: EfiNative, firmware: Firmware) -> None:
    scheme.mark_bad("B")
    scheme.select("B")
    assert scheme.read().slots == {"A": CONFIRMED, "B": TRIAL}
    assert (scheme.read().next_slot(), firmware.boot()) == ("B", "B")
    scheme.mark_good("B")
    assert scheme.read().slots == {"A": CONFIRMED, "B": CONFIRMED}
    assert firmware.get("BootOrder") == efi_order.words((B, A, PXE))
    assert firmware.boot() == "B"


def test_a_trial_that_is_not_confirmed_was_the_only_one(
    scheme: EfiNative, firmware: Firmware
) -> None:
    scheme.select("B")
    assert [firmware.boot(), firmware.boot()] == ["B", "A"]
    assert scheme.read().slot("B") == BAD


def test_without_bootnext_what_is_selected_stays(firmware: Firmware, tmp_path: Path) -> None:
    scheme = EfiNative(EfiVars(tmp_path), ("A", "B"), FOR_GOOD)
    scheme.select("B")
    assert [firmware.boot(), firmware.boot()] == ["B", "B"]
    assert firmware.get("BootNext") is None


def test_a_bad_slot_is_neither_next_nor_in_the_order(scheme: EfiNative, firmware: Firmware) -> None:
    firmware.enter(7, "B")
    firmware.order(B, A, 7)
    scheme.select("B")
    scheme.mark_bad("B")
    assert firmware.get("BootOrder") == efi_order.words((A,))
    assert firmware.get("BootNext") is None
    assert scheme.read().next_slot() == firmware.boot() == "A"


def test_the_last_slot_is_not_taken_out(scheme: EfiNative, firmware: Firmware) -> None:
    with pytest.raises(NothingBootable, match="A is the last slot in BootOrder"):
        scheme.mark_bad("A")
    assert firmware.boot() == "A"


def test_flash_is_not_worn_by_what_is_so_already(
    scheme: EfiNative, firmware: Firmware, tmp_path: Path
) -> None:
    scheme.select("B")
    with firmware.power_until(0):
        scheme.select("B")
        scheme.mark_good("A")
    firmware.boot()
    with firmware.power_until(0):
        scheme.mark_bad("B")


def _after(
    change: Callable[[EfiNative, str], None],
    scheme: EfiNative,
    firmware: Firmware,
    beginning: tuple[int, ...],
    selected: str,
) -> BootState:
    """The state that the change leads to where nobody cuts it."""
    firmware.order(*beginning)
    firmware.file("BootNext").unlink(missing_ok=True)
    if selected:
        scheme.select(selected)
    change(scheme, "B")
    return scheme.read()


@pytest.mark.parametrize("beginning", [(A,), (A, B), (B, A)])
@pytest.mark.parametrize("selected", ["", "A", "B"])
@pytest.mark.parametrize("change", [EfiNative.select, EfiNative.mark_good, EfiNative.mark_bad])
@pytest.mark.parametrize("changes", range(3))
def test_wherever_a_change_is_cut_the_machine_boots_a_slot_that_may(
    scheme: EfiNative,
    firmware: Firmware,
    beginning: tuple[int, ...],
    selected: str,
    change: Callable[[EfiNative, str], None],
    changes: int,
) -> None:
    firmware.order(*beginning)
    if selected:
        scheme.select(selected)
    before = scheme.read()
    try:
        with firmware.power_until(changes):
            change(scheme, "B")
    except Cut:
        pass
    found, complaint = scheme.read(), scheme.damage()
    started = firmware.boot()
    assert (started, complaint) == (found.next_slot(), "")
    if change is EfiNative.mark_bad and changes == 2:
        assert [started, firmware.boot()] == ["A", "A"]
    elif change is not EfiNative.mark_bad:
        assert found in (before, _after(change, scheme, firmware, beginning, selected))


def test_the_running_slot_is_the_one_that_was_booted(firmware: Firmware, tmp_path: Path) -> None:
    assert booted(EfiVars(tmp_path)) == "A"
    firmware.set("BootCurrent", b"\x99\x99")
    assert booted(EfiVars(tmp_path)) == ""


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("BootOrder", b"\1\0\2", "BootOrder of 3 bytes"),
        ("BootOrder", b"", "BootOrder names no entry A or B"),
        ("BootOrder", efi_order.words((PXE,)), "BootOrder names no entry A or B"),
        ("BootOrder", efi_order.words((9, A, B)), "BootOrder names 0009, which cannot be read"),
        ("BootOrder", efi_order.words((PXE, A)), "BootOrder begins with PXE, expected A or B"),
        ("BootNext", b"\1", "BootNext of 1 bytes"),
        ("BootNext", b"\1\0\2\0", "BootNext of 4 bytes"),
        ("Boot0002", b"\1\0", "no active boot entry is called B"),
        ("Boot0002", b"", "no active boot entry is called B"),
    ],
)
def test_damage_is_told_and_mended_by_confirming(
    scheme: EfiNative, firmware: Firmware, name: str, value: bytes, words: str
) -> None:
    firmware.set(name, value)
    assert words in scheme.damage()
    scheme.read_or_rebuild()
    scheme.mark_good("A")
    assert scheme.read().next_slot() == firmware.boot() == "A"
    if name in ("BootNext", "BootOrder") and "0009" not in words:
        assert scheme.damage() == ""


def test_nothing_to_complain_of(scheme: EfiNative) -> None:
    assert scheme.damage() == ""


def test_an_entry_that_the_firmware_passes_over_is_not_selected(
    scheme: EfiNative, firmware: Firmware
) -> None:
    firmware.enter(B, "B", attributes=0)
    for change in (scheme.select, scheme.mark_good):
        with pytest.raises(StateNotStored, match="no active boot entry is called B"):
            change("B")
    assert firmware.boot() == "A"


def test_other_entries_are_no_slots(scheme: EfiNative) -> None:
    for change in (scheme.select, scheme.mark_good, scheme.mark_bad):
        with pytest.raises(UnknownSlot, match="'PXE' is not a slot of this device, expected A or"):
            change("PXE")


def test_without_the_firmwares_variables(tmp_path: Path) -> None:
    with pytest.raises(NoScheme, match="expected efivarfs there"):
        EfiNative(EfiVars(tmp_path), ("A", "B")).read_or_rebuild()


ENTRIES = st.dictionaries(
    st.integers(0, 5), st.builds(LoadOption, st.integers(0, 1), st.sampled_from("ABC"), st.just(()))
)
MANAGERS = st.builds(
    BootManager,
    st.lists(st.integers(0, 6), max_size=6).map(tuple),
    st.none() | st.integers(0, 6),
    ENTRIES,
)


@given(MANAGERS)
def test_a_slot_without_an_active_entry_never_is_next(manager: BootManager) -> None:
    try:
        state = efi_order.state(manager, ("A", "B"))
    except DamagedState:
        return
    entries = [entry for entry in manager.entries.values() if entry.attributes & ACTIVE]
    assert state.next_slot() in {entry.description for entry in entries}


@given(st.lists(st.integers(0, 0xFFFF)))
def test_an_order_in_bytes_is_that_order(order: list[int]) -> None:
    assert efi_order.numbers(efi_order.words(order), "BootOrder") == tuple(order)


def test_a_variable_is_written_at_once_with_its_attributes(
    scheme: EfiNative, firmware: Firmware
) -> None:
    with firmware.power_until(1):
        scheme.select("B")
    assert firmware.file("BootNext").read_bytes() == STORED + b"\2\0"


def test_an_immutable_variable_is_written_and_immutable_again(
    firmware: Firmware, tmp_path: Path
) -> None:
    """With the flags of a real file system, where the test may set them."""
    get, put, flag = 0x80086601, 0x40086602, 0x10
    file = firmware.file("BootOrder")

    def flags() -> int:
        found = bytearray(4)
        with file.open("rb") as opened:
            fcntl.ioctl(opened, get, found)
        return int.from_bytes(found, "little")

    def set_flags(value: int) -> None:
        with file.open("rb") as opened:
            fcntl.ioctl(opened, put, value.to_bytes(4, "little"))

    try:
        set_flags(flags() | flag)
    except OSError as error:
        pytest.skip(f"cannot make a file immutable here: {error.strerror}")
    try:
        with pytest.raises(PermissionError):
            file.write_bytes(b"")
        EfiVars(tmp_path).write("BootOrder", b"\2\0")
        assert flags() & flag
        assert firmware.get("BootOrder") == b"\2\0"
    finally:
        set_flags(flags() & ~flag)


def test_firmware_that_refuses_is_one_sentence(scheme: EfiNative, firmware: Firmware) -> None:
    firmware.file("BootNext").mkdir()
    with pytest.raises((StateNotStored, DamagedState), match=r"BootNext-.*: Is a directory"):
        scheme.select("B")
