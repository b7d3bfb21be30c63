from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flipside_bootctl import bootcount_file
from flipside_bootctl.bootcount import Bootcount, number
from flipside_bootctl.bootcount_storage import BootcountStorage
from flipside_bootctl.errors import (
    BootControlError,
    DamagedState,
    NothingBootable,
    StateLocked,
    StateNotStored,
)
from flipside_bootctl.loader_environment import LoaderEnvironment
from flipside_bootctl.state import BAD, Slot

FRESH = Path(__file__).parents[2] / "bootctl/uboot/bootcount.env"
LIMIT = 3
CONFIRMED = Slot(1, confirmed=True)


class Memory:
    """An environment with a power switch."""

    def __init__(self) -> None:
        lines = (line for line in FRESH.read_text().splitlines() if not line.startswith("#"))
        self.variables = dict(line.split("=", 1) for line in lines)
        self.left = 1000

    def read(self) -> Mapping[str, str]:
        return self.variables

    def write(self, changes: Mapping[str, str]) -> None:
        if {**self.variables, **changes} == self.variables:
            return
        if not self.left:
            raise Cut
        self.left -= 1
        self.variables.update(changes)

    def damage(self) -> str:
        return ""


class Cut(Exception):
    """The power is gone."""


class Uboot:
    """U-Boot with the environment of bootctl/uboot/bootcount.env, and perhaps a count in a file."""

    def __init__(self, memory: Memory, file: Path | None) -> None:
        self.memory, self.file = memory, file

    def boot(self) -> str:
        """The slot that is started (U-Boot, common/autoboot.c and drivers/bootcount)."""
        boots, counting = self._load()
        if counting:
            boots += 1
            self._store(boots)
        if boots > LIMIT:
            self.memory.variables["BOOT_ORDER"] = self.memory.variables["BOOT_ORDER"].split()[-1]
            self.memory.variables.update(upgrade_available="0", bootcount="0")
        return self.memory.variables["BOOT_ORDER"].split()[0]

    def _load(self) -> tuple[int, bool]:
        if self.file is None:
            found = self.memory.variables
            return int(found["bootcount"]), found["upgrade_available"] == "1"
        block = self.file.read_bytes()
        good = len(block) == 4 and block[:2] == b"\xbd\x01"
        return (block[2], bool(block[3])) if good else (0, True)

    def _store(self, boots: int) -> None:
        if self.file is None:
            self.memory.variables["bootcount"] = str(boots)
        else:
            self.file.write_bytes(bytes((0xBD, 1, boots, 1)))


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture(params=["environment", "file"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    file = tmp_path / "failures"
    file.write_bytes(b"\xbd\1\0\0")
    return file if request.param == "file" else None


@pytest.fixture
def uboot(memory: Memory, file: Path | None) -> Uboot:
    return Uboot(memory, file)


@pytest.fixture
def scheme(memory: Memory, file: Path | None) -> LoaderEnvironment:
    storage = BootcountStorage(memory, str(file)) if file else memory
    return LoaderEnvironment(storage, Bootcount(LIMIT))


def test_a_fresh_board_gives_up_after_so_many_boots(memory: Memory) -> None:
    assert number(memory.variables, "bootlimit") == LIMIT
    assert "altbootcmd" in memory.variables


def test_a_whole_update(scheme: LoaderEnvironment, uboot: Uboot) -> None:
    scheme.mark_bad("B")
    scheme.select("B")
    assert scheme.read().slots == {"A": CONFIRMED, "B": Slot(3, confirmed=False)}
    assert uboot.boot() == "B"
    assert scheme.read().slot("B").left == 2
    scheme.mark_good("B")
    assert scheme.read().slots == {"A": CONFIRMED, "B": CONFIRMED}
    assert [uboot.boot() for _ in range(9)] == ["B"] * 9


def test_a_trial_has_three_boots(scheme: LoaderEnvironment, uboot: Uboot, memory: Memory) -> None:
    scheme.select("B")
    assert [uboot.boot() for _ in range(4)] == ["B", "B", "B", "A"]
    assert memory.variables["BOOT_ORDER"] == "A"
    assert scheme.read().slot("B") == BAD


def test_a_bad_trial_is_left_at_once(scheme: LoaderEnvironment, uboot: Uboot) -> None:
    scheme.select("B")
    uboot.boot()
    scheme.mark_bad("B")
    assert [uboot.boot() for _ in range(9)] == ["A"] * 9


def test_the_last_slot_is_not_taken_out(scheme: LoaderEnvironment, uboot: Uboot) -> None:
    with pytest.raises(NothingBootable, match="no slot would be left to boot"):
        scheme.mark_bad("A")
    assert uboot.boot() == "A"


@pytest.mark.parametrize("first", ["select", "mark_good"])
@pytest.mark.parametrize("then", ["select", "mark_good", "mark_bad"])
@pytest.mark.parametrize("changes", range(3))
def test_wherever_a_change_is_cut_a_trial_ends_by_itself(
    tmp_path: Path, memory: Memory, first: str, then: str, changes: int
) -> None:
    """With the count in a file, which is a second write."""
    file = tmp_path / "failures"
    file.write_bytes(b"\xbd\1\0\0")
    scheme = LoaderEnvironment(BootcountStorage(memory, str(file)), Bootcount(LIMIT))
    getattr(scheme, first)("B")
    confirmed = {name for name, slot in scheme.read().slots.items() if slot.confirmed}
    try:
        with power_until(memory, changes):
            getattr(scheme, then)("B")
    except Cut:
        pass
    if then == "mark_good":
        confirmed.add("B")
    uboot = Uboot(memory, file)
    boots = [uboot.boot() for _ in range(LIMIT + 1)]
    assert boots[-1] in confirmed
    assert uboot.boot() == boots[-1]


@contextmanager
def power_until(memory: Memory, changes: int) -> Iterator[None]:
    """Let so many changes of the environment or the file happen."""
    memory.left, pwrite = changes, os.pwrite

    def written(descriptor: int, data: bytes, at: int) -> int:
        if not memory.left:
            raise Cut
        memory.left -= 1
        return pwrite(descriptor, data, at)

    with patch("os.pwrite", written):
        yield
    memory.left = 1000


@pytest.mark.parametrize("length", range(5))
@pytest.mark.parametrize("then", ["select", "mark_good", "mark_bad"])
def test_a_count_file_that_is_torn_still_ends_a_trial(
    tmp_path: Path, memory: Memory, length: int, then: str
) -> None:
    file = tmp_path / "failures"
    file.write_bytes(b"\xbd\1\0\0")
    scheme = LoaderEnvironment(BootcountStorage(memory, str(file)), Bootcount(LIMIT))
    scheme.select("B")
    uboot = Uboot(memory, file)
    uboot.boot()
    before = file.read_bytes()
    getattr(scheme, then)("B")
    after = file.read_bytes()
    file.write_bytes(after[:length] + before[length:])
    boots = [uboot.boot() for _ in range(LIMIT + 2)]
    assert set(boots[-2:]) == {"B" if then == "mark_good" and length == 4 else "A"}


@pytest.mark.parametrize(
    ("reason", "block"),
    [
        (StateLocked("locked"), b"\xbd\1\0\0"),
        (DamagedState("damaged"), b"\xbd\1\0\0"),
        (StateNotStored("how much of it was written is not known"), b"\xbd\1\0\1"),
    ],
    ids=lambda it: type(it).__name__,
)
def test_a_trial_that_did_not_even_begin_is_not_counted(
    tmp_path: Path,
    memory: Memory,
    monkeypatch: pytest.MonkeyPatch,
    reason: BootControlError,
    block: bytes,
) -> None:
    def refuse(_: Mapping[str, str]) -> None:
        raise reason

    monkeypatch.setattr(memory, "write", refuse)
    file = tmp_path / "failures"
    file.write_bytes(b"\xbd\1\0\0")
    scheme = LoaderEnvironment(BootcountStorage(memory, str(file)), Bootcount(LIMIT))
    with pytest.raises(type(reason)):
        scheme.select("B")
    assert file.read_bytes() == block


def test_a_count_file_that_says_nothing_is_told_and_mended(tmp_path: Path, memory: Memory) -> None:
    file = tmp_path / "failures"
    storage = BootcountStorage(memory, str(file))
    scheme = LoaderEnvironment(storage, Bootcount(LIMIT))
    for content in (None, b"", b"\xbd\2\0\0", b"\xbd\1\0", bytes(512)):
        if content is not None:
            file.write_bytes(content)
        assert "failures: " in scheme.damage()
        assert Uboot(memory, file)._load() == (0, True) if content is not None else True
        assert scheme.read().slot("A") == Slot(3, confirmed=False)
        scheme.mark_good("A")
        assert (scheme.damage(), file.read_bytes()) == ("", b"\xbd\1\0\0")


@pytest.mark.parametrize("order", ["", "system0 system1"])
def test_an_order_without_sense_is_told_and_mended(
    scheme: LoaderEnvironment, memory: Memory, order: str
) -> None:
    memory.variables["BOOT_ORDER"] = order
    assert f"BOOT_ORDER is {order!r}" in scheme.damage()
    assert scheme.read_or_rebuild().next_slot() == "A"
    scheme.mark_good("B")
    assert scheme.read().next_slot() == "B"


@given(
    st.dictionaries(st.sampled_from(["BOOT_ORDER", "bootcount", "upgrade_available"]), st.text())
)
def test_any_variables_are_refused_or_understood(variables: dict[str, str]) -> None:
    try:
        state = Bootcount(LIMIT).from_variables(variables)
    except DamagedState:
        return
    assert all(0 <= slot.left <= LIMIT for slot in state.slots.values())
    assert state.primary in variables["BOOT_ORDER"].split()


@pytest.mark.parametrize(
    ("word", "read"),
    [("3", 3), ("12 boots", 12), ("", 0), ("x", 0), ("-1", 0), ("\N{SUPERSCRIPT TWO}", 0)],
)
def test_numbers_are_read_as_u_boot_reads_them(word: str, read: int) -> None:
    assert number({"bootcount": word}, "bootcount") == read


@given(st.integers(0, 255), st.booleans())
def test_what_is_encoded_is_decoded(boots: int, counting: bool) -> None:
    bootcount = bootcount_file.Bootcount(boots, counting)
    assert bootcount_file.decode(bootcount_file.encode(bootcount)) == bootcount


@given(st.binary(max_size=6))
def test_rubbish_is_refused_in_a_sentence(block: bytes) -> None:
    try:
        found = bootcount_file.decode(block)
    except DamagedState as error:
        assert "\n" not in str(error)  # noqa: PT017  # either is fine, a traceback is not
    else:
        assert bootcount_file.encode(found)[2] == found.boots


def test_the_first_release_of_the_file() -> None:
    assert bootcount_file.decode(b"\xbc\5") == bootcount_file.Bootcount(5, counting=True)
