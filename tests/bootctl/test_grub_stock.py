from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flipside_bootctl import grubenv
from flipside_bootctl.errors import DamagedState, StateNotStored
from flipside_bootctl.grub_environment import GrubEnvironment
from flipside_bootctl.grub_stock import GrubStock
from flipside_bootctl.loader_environment import LoaderEnvironment
from flipside_bootctl.state import BAD, Slot
from models import stock_grub
from models.torn_write import Cut, power_until

DIALECT = GrubStock(("A", "B"))
GOOD, USED = Slot(1, confirmed=True), Slot(0, confirmed=True)
FRESH = {"ORDER": "A B", "A_OK": "1", "A_TRY": "0", "B_OK": "0", "B_TRY": "0"}
OTHERS = {"saved_entry": "gnulinux-simple", "odd": "a\\b"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "grubenv"
    file.write_bytes(grubenv.encode({**OTHERS, **FRESH}))
    return file


@pytest.fixture
def scheme(file: Path) -> LoaderEnvironment:
    return LoaderEnvironment(GrubEnvironment(str(file)), DIALECT)


def variables(file: Path) -> dict[str, str]:
    return grubenv.decode(file.read_bytes())


def starts(file: Path) -> list[str]:
    """What the script of RAUC's manual starts, one after the other."""
    files = {stock_grub.ENVIRONMENT: file.read_bytes()}
    return [attempt.slot for attempt in stock_grub.StockGrub().attempts(files)]


def test_a_whole_update(scheme: LoaderEnvironment, file: Path) -> None:
    scheme.mark_bad("B")
    scheme.select("B")
    assert (starts(file)[0], scheme.read().next_slot()) == ("B", "B")
    assert variables(file) == {**FRESH, **OTHERS, "ORDER": "B A", "B_OK": "1"}
    scheme.mark_good("B")
    assert scheme.read().slots == {"A": GOOD, "B": GOOD}


def test_a_slot_that_was_tried_is_bad_until_it_is_marked(
    scheme: LoaderEnvironment, file: Path
) -> None:
    """RAUC, src/bootloaders/grub.c: good is OK=1 and TRY=0."""
    GrubEnvironment(str(file)).write({"A_TRY": "1"})
    assert scheme.read().slot("A") == USED
    scheme.mark_good("A")
    assert variables(file)["A_TRY"] == "0"


@pytest.mark.parametrize("a", [BAD, GOOD, USED])
@pytest.mark.parametrize("primary", ["A", "B"])
def test_every_state_survives_its_variables(a: Slot, primary: str) -> None:
    state = DIALECT.at_first().with_slot("A", a)._replace(primary=primary)
    assert DIALECT.from_variables(DIALECT.to_variables(state)) == state


@given(st.dictionaries(st.sampled_from([*FRESH]), st.text()))
def test_any_variables_are_refused_or_understood(found: dict[str, str]) -> None:
    try:
        state = DIALECT.from_variables(found)
    except DamagedState:
        return
    assert {slot.left for slot in state.slots.values()} <= {0, 1}


@pytest.mark.parametrize("rubbish", [b"", b"x" * 1024, b"# GRUB"])
def test_damage_is_told_and_mended_by_confirming(
    scheme: LoaderEnvironment, file: Path, rubbish: bytes
) -> None:
    file.write_bytes(rubbish)
    assert "grubenv: environment block" in scheme.damage()
    assert scheme.read_or_rebuild().slots == {"A": BAD, "B": BAD}
    scheme.mark_good("B")
    assert (starts(file), scheme.damage()) == (["B", "B"], "")


def test_a_state_in_the_second_sector_is_not_touched_in_two_writes(tmp_path: Path) -> None:
    file = tmp_path / "grubenv"
    file.write_bytes(grubenv.encode({"theme": "x" * 600, **FRESH}, room=1024))
    with pytest.raises(StateNotStored, match="lies in two sectors"):
        GrubEnvironment(str(file)).write({"ORDER": "B A"})
    assert variables(file)["ORDER"] == "A B"


def test_others_that_do_not_fit_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "grubenv"
    file.write_bytes(grubenv.encode({"theme": "x" * 980}, room=1024))
    with pytest.raises(StateNotStored, match="expected at most 1024"):
        GrubEnvironment(str(file)).write(FRESH)


LAYOUTS = {
    "fresh": grubenv.encode({**OTHERS, **FRESH}),
    "ours": grubenv.encode({**FRESH, **OTHERS}),
    "long": grubenv.encode({**FRESH, "theme": "x" * 600}, room=1024),
    "padding": grubenv.encode({**FRESH, **OTHERS})[:512].ljust(1024, b"\n"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["select", "mark_good", "mark_bad"])
def test_wherever_a_sector_is_the_last_to_arrive_the_state_is_old_or_new(
    scheme: LoaderEnvironment, file: Path, layout: str, name: str
) -> None:
    """A disk writes a sector whole; sector.py flushes in between."""
    before = LAYOUTS[layout]
    file.write_bytes(before)
    old = scheme.read()
    getattr(scheme, name)("B")
    new = scheme.read()
    for budget in (0, 512, 1024):
        file.write_bytes(before)
        try:
            with power_until(budget):
                getattr(scheme, name)("B")
        except Cut:
            pass
        assert scheme.read() in (old, new)


@pytest.mark.parametrize("name", ["select", "mark_good", "mark_bad"])
def test_torn_inside_the_sector_it_never_starts_nothing(
    scheme: LoaderEnvironment, file: Path, name: str
) -> None:
    """Disks write a sector whole; should one not, the script still finds a slot."""
    scheme.select("B")
    scheme.mark_bad("B")
    scheme.select("A")
    before = file.read_bytes()
    getattr(scheme, name)("B")
    after = file.read_bytes()
    for length in range(513):
        file.write_bytes(after[:length] + before[length:])
        assert starts(file)


@pytest.mark.skipif(not shutil.which("grub-editenv"), reason="grub-editenv is missing")
def test_grub_editenv_reads_ours_and_we_read_its(
    scheme: LoaderEnvironment, tmp_path: Path, file: Path
) -> None:
    file.unlink()

    def edit(*words: str) -> str:
        command = ["grub-editenv", str(file), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    edit("create")
    edit("set", *(f"{name}={value}" for name, value in {**OTHERS, **FRESH}.items()))
    for number in range(4):
        scheme.select("AB"[number % 2])
        scheme.mark_good("B")
        edit("set", f"theirs={number}")
        listed = dict(line.split("=", 1) for line in edit("list").splitlines())
        assert listed == variables(file)
        assert listed == {**listed, **OTHERS, "theirs": str(number), "B_OK": "1"}
