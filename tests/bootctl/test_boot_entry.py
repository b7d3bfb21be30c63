"""Names of entries and their order, against the model of systemd-boot and systemd's own tool."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from itertools import pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flipside_bootctl import boot_entry, loader_order
from flipside_bootctl.boot_entry import Counter, EntryName
from flipside_bootctl.errors import DamagedState
from flipside_bootctl.loader_order import Candidate
from models.systemd_boot import ENTRIES, Firmware, age

MOST = 2**31 - 1
NUMBERS = st.integers(0, MOST)
ENTRY_NAMES = st.builds(
    EntryName, NUMBERS, st.sampled_from("AB"), st.one_of(st.none(), NUMBERS), NUMBERS
).map(lambda name: name if name.left is not None else name._replace(done=0))
WORDS = st.text("ab01-+.~^_ ", max_size=9)
VERSIONS = st.text("ab019-.~^_+", max_size=8)


@given(ENTRY_NAMES)
def test_a_name_comes_back(name: EntryName) -> None:
    assert boot_entry.parse(name.file()) == name
    assert name.file() == name.file().lower()


@given(st.one_of(WORDS, WORDS.map("flipside-{}.conf".format), st.text()))
def test_what_is_parsed_is_known_to_the_loader_by_the_same_name(file: str) -> None:
    with suppress(DamagedState):
        name = boot_entry.parse(file)
        assert boot_entry.counted(file) == boot_entry.counted(name.file())


@given(st.one_of(ENTRY_NAMES.map(EntryName.file), WORDS.map("{}.conf".format)))
def test_counters_are_read_and_counted_as_systemd_boot_does(file: str) -> None:
    tree = {f"{ENTRIES}{file}": b"linux /k\n", "k": b"whole"}
    firmware = Firmware(tree, {b"whole"})
    (listed,) = firmware.listed()
    found = boot_entry.counted(file)
    assert found.identity == listed.identity
    assert (-1 if found.left is None else found.left) == listed.left
    firmware.boot()
    (after,) = (path.removeprefix(ENTRIES) for path in firmware.tree if path != "k")
    counted = boot_entry.counted(after)
    if found.left is not None:
        assert counted == Counter(found.identity, max(found.left - 1, 0), min(found.done + 1, MOST))


@pytest.mark.parametrize(
    "file",
    [
        *("flipside-02-a.conf", "flipside-2-c.conf", "FLIPSIDE-2-A.conf", "flipside-2-A+3.conf"),
        *("flipside--a.conf", "flipside-2-a+x.conf", "flipside-2-a+3-.conf", "flipside-2-a.conf~"),
        *("flipside-2-a+99999999999.conf", "", ".conf", "+3.conf", "flipside-\u00b2-a.conf"),
    ],
)
def test_names_that_are_not_ours(file: str) -> None:
    with pytest.raises(DamagedState, match="not a boot entry of Flipside"):
        boot_entry.parse(file)


@given(st.lists(ENTRY_NAMES, min_size=1, max_size=5, unique_by=lambda name: (name[0], name[1])))
def test_the_order_is_the_one_of_the_model(names: list[EntryName]) -> None:
    tree = {f"{ENTRIES}{name.file()}": b"linux /k\n" for name in names}
    listed = Firmware({**tree, "k": b""}, ()).listed()
    for at, one in enumerate(listed):
        for other in listed[at + 1 :]:
            first, second = (Candidate(boot_entry.counted(each.file)) for each in (one, other))
            assert loader_order.compare(first, second) < 0
            assert loader_order.compare(second, first) > 0


KEYS = st.dictionaries(
    st.sampled_from(["sort-key", "machine-id", "version"]), st.sampled_from(["1", "a", "10"])
)


@given(
    st.lists(st.tuples(st.sampled_from(["a-1", "b-2+0", "c-10+3-1", "c-10+2"]), KEYS), max_size=4)
)
def test_keys_of_others_count_as_in_the_model(entries: list[tuple[str, dict[str, str]]]) -> None:
    candidates, tree = {}, {"k": b""}
    for stem, keys in entries:
        lines = "".join(f"{key} {value}\n" for key, value in keys.items())
        tree[f"{ENTRIES}{stem}.conf"] = f"linux /k\n{lines}".encode()
        words = (keys.get(key, "") for key in ("sort-key", "machine-id", "version"))
        candidates[f"{stem}.conf"] = Candidate(boot_entry.counted(f"{stem}.conf"), *words)
    listed = [one.file for one in Firmware(tree, ()).listed()]
    for one, other in pairwise(listed):
        assert loader_order.compare(candidates[one], candidates[other]) < 0


@given(
    st.lists(st.sampled_from(["a", "b1", "0", "07", "10", "x"]), min_size=1, max_size=5),
    st.lists(st.sampled_from(["a", "b1", "0", "07", "10", "x"]), min_size=1, max_size=5),
)
def test_versions_of_plain_words_compare_as_in_the_model(one: list[str], other: list[str]) -> None:
    first, second = "-".join(one), "-".join(other)
    expected = (age(first) > age(second)) - (age(first) < age(second))
    assert loader_order.compare_versions(first, second) == expected


@given(VERSIONS, VERSIONS)
def test_versions_are_ordered(one: str, other: str) -> None:
    compare = loader_order.compare_versions
    assert compare(one, one) == 0
    assert compare(one, other) == -compare(other, one)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze missing (systemd)")
@settings(max_examples=150, deadline=None)
@given(VERSIONS.filter(bool), VERSIONS.filter(bool))
def test_versions_compare_as_systemd_analyze_says(one: str, other: str) -> None:
    command = ["systemd-analyze", "compare-versions", "--", one, other]
    said = subprocess.run(command, check=False, capture_output=True, text=True).stdout.split()
    sign = {"<": -1, "==": 0, ">": 1}
    (found,) = (sign[word] for word in said if word in sign) if said else (None,)
    assert found == loader_order.compare_versions(one, other)


def test_of_one_identity_the_one_with_more_left_and_then_fewer_done_goes_first() -> None:
    files = ["f-1-a+3.conf", "f-1-a+2.conf", "f-1-a+2-1.conf", "f-1-a+0.conf", "f-1-a+0-3.conf"]
    for one, other in permutations(range(len(files)), 2):
        pair = [Candidate(boot_entry.counted(files[at])) for at in (one, other)]
        assert (loader_order.compare(*pair) < 0) == (one < other)
