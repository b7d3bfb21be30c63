"""Partitions that something damaged: told in a sentence, acted upon as the loader does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flipside_bootctl import entry_text
from flipside_bootctl.errors import NothingBootable
from flipside_bootctl.state import BAD, Slot
from models.esp_device import ROOM, EspDevice
from models.systemd_boot import ENTRIES
from models.vfat import Vfat, contents, lay_out

pytestmark = pytest.mark.usefixtures("nobody_pulls_the_plug")

Harm = Callable[[EspDevice], None]
TEMPLATE = (ROOM / "entry.conf").read_text()
A, B, RESCUE = "flipside-2-a+9.conf", "flipside-3-b+8-1.conf", "flipside-0-b.conf"


@pytest.fixture
def device(tmp_path: Path) -> EspDevice:
    """B was updated and confirmed, and runs."""
    device = EspDevice(tmp_path).make()
    device.install("B", 2)
    device.boot()
    device.scheme.mark_good("B")
    device.boot()
    assert device.entries() == [RESCUE, A, B]
    return device


def holding(file: str, content: bytes) -> Harm:
    def harm(device: EspDevice) -> None:
        device.entry(file).write_bytes(content)

    return harm


def cut_short(file: str, end: int) -> Harm:
    def harm(device: EspDevice) -> None:
        text = device.entry(file).read_bytes()
        device.entry(file).write_bytes(text[:end])

    return harm


def taken_over(file: str, other: str) -> Harm:
    """One entry shows the content of another."""

    def harm(device: EspDevice) -> None:
        device.entry(file).write_bytes(device.entry(other).read_bytes())

    return harm


def gone(path: str) -> Harm:
    return lambda device: (device.esp / path).unlink()


CORPUS: list[tuple[str, Harm, str, str]] = [
    ("B empty", holding(B, b""), f"{B}: its end is missing", "A"),
    ("A empty", holding(A, b""), f"{A}: its end is missing", "B"),
    ("rescue empty", holding(RESCUE, b""), f"{RESCUE}: its end is missing", "B"),
    ("B cut short", cut_short(B, 80), f"{B}: its end is missing", "A"),
    ("B rubbish", holding(B, bytes(range(256))), f"{B}: its end is missing", "A"),
    ("A shows B", taken_over(A, B), f"{A}: linux is '/flipside/b/vmlinuz'", "B"),
    ("rescue shows A", taken_over(RESCUE, A), f"{RESCUE}: linux is '/flipside/a/vmlinuz'", "B"),
    ("kernel of B gone", gone("flipside/b/vmlinuz"), "flipside/b/vmlinuz is not there", "A"),
    ("initrd of A gone", gone("flipside/a/initrd.img"), "flipside/a/initrd.img is not there", "B"),
    ("B gone", gone(f"{ENTRIES}{B}"), "no entry for slot B but the rescue entry", "A"),
    ("rescue gone", gone(f"{ENTRIES}{RESCUE}"), "no rescue entry", "B"),
]


@pytest.mark.parametrize(
    ("harm", "sentence", "slot"),
    [case[1:] for case in CORPUS],
    ids=[case[0] for case in CORPUS],
)
def test_damage_is_told_mended_and_never_boots_a_slot_that_was_not_meant(
    device: EspDevice, harm: Harm, sentence: str, slot: str
) -> None:
    harm(device)
    assert sentence in device.scheme.damage()
    assert device.scheme.read_or_rebuild().next_slot() == slot
    device.scheme.mark_good(slot)
    assert device.scheme.damage() == ""
    assert device.boots(1) == slot
    other = "A" if slot == "B" else "B"
    device.install(other, 3)
    assert device.boots(1) == other


def test_a_trial_that_lost_its_end_is_no_confirmed_slot(device: EspDevice) -> None:
    device.install("A", 3)
    text = device.entry("flipside-4-a+3.conf").read_bytes()
    for end in range(len(text)):
        device.entry("flipside-4-a+3.conf").write_bytes(text[:end])
        assert device.scheme.read().slot("A") == BAD
        assert device.scheme.read().next_slot() == "B"


LEFTOVERS: list[tuple[str, str]] = [
    (B, "NEW0.TMP"),
    (A, "NEW0.TMP"),
    (RESCUE, "NEW0.TMP"),
    (B, "flipside-3-b+9.conf"),
    (B, "flipside-3-b+7-2.conf"),
    (A, "flipside-4-b+3.conf"),
    (RESCUE, "flipside-0-a.conf"),
]


@pytest.mark.parametrize(("file", "second"), LEFTOVERS)
@pytest.mark.parametrize("verb", ["mark_good", "mark_bad", "select"])
def test_two_names_on_one_cluster_come_apart_before_one_goes(
    device: EspDevice, file: str, second: str, verb: str
) -> None:
    device.entry(second).write_bytes(device.entry(file).read_bytes())
    disk = Vfat(device.esp, linked=(f"{ENTRIES}{file}", f"{ENTRIES}{second}"))
    with disk.recording():
        getattr(device.scheme, verb)("A")
    lay_out(disk.now.tree(), device.esp)
    assert device.scheme.damage() == ""
    assert len(device.entries()) == 3
    assert device.scheme.read().slot("B").confirmed
    assert device.boots(1) == ("A" if verb == "select" else "B")


@pytest.mark.parametrize(("file", "second"), [pair for pair in LEFTOVERS if pair[0] != A])
def test_a_cut_while_they_come_apart(device: EspDevice, file: str, second: str) -> None:
    device.entry(second).write_bytes(device.entry(file).read_bytes())
    disk = Vfat(device.esp, linked=(f"{ENTRIES}{file}", f"{ENTRIES}{second}"))
    with disk.recording():
        device.scheme.mark_good("B")
    for tree in {frozenset(tree.items()): tree for tree, _ in disk.cuts()}.values():
        lay_out(tree, device.esp)
        assert device.scheme.read().slot("B").confirmed
        assert device.boots(1) == "B"


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        (f"{ENTRIES}zzz.conf", "linux /flipside/a/vmlinuz\n", True),
        (f"{ENTRIES}aaa.conf", "linux /flipside/a/vmlinuz\n", False),
        (f"{ENTRIES}aaa.conf", "linux /flipside/a/vmlinuz\nsort-key x\n", True),
        (f"{ENTRIES}zzz+0-1.conf", "linux /flipside/a/vmlinuz\n", False),
        (f"{ENTRIES}zzz.conf", "linux /not/there\n", False),
        (f"{ENTRIES}zzz.conf", "title of nothing\n", False),
        (f"{ENTRIES}zzz.txt", "linux /flipside/a/vmlinuz\n", False),
        (f"{ENTRIES}.conf", "", False),
        (f"{ENTRIES}zzz.conf.tmp", "linux /flipside/a/vmlinuz\n", False),
        ("EFI/Linux/some.efi", "a unified kernel", True),
        ("EFI/Linux/some+0-3.efi", "a unified kernel", False),
    ],
)
def test_what_is_not_ours_is_left_alone_and_told_if_it_would_boot_first(
    device: EspDevice, path: str, text: str, told: bool
) -> None:
    place = device.esp / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    assert (f"{path}: boots before the entries of Flipside" in device.scheme.damage()) == told
    device.scheme.mark_good("B")
    assert place.read_text() == text
    assert device.scheme.read().slot("B") == Slot(9, confirmed=True)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.one_of(
            st.builds(
                "flipside-{}-{}{}.conf".format,
                st.integers(0, 5),
                st.sampled_from("ab"),
                st.sampled_from(["", "+0", "+0-3", "+1", "+2-1", "+9", "+8-1"]),
            ),
            st.sampled_from(["NEW0.TMP", "NEW1.TMP", "flipside-x-a.conf", "flipside-3-b+9.tmp"]),
        ),
        st.sampled_from(["A", "B", "A trial", "B trial", "", "rubbish"]),
        max_size=6,
    )
)
def test_whatever_lies_there_reading_agrees_with_the_loader_and_confirming_mends_it(
    device: EspDevice, found: dict[str, str]
) -> None:
    trial = b"options flipside.trial=1\n"
    texts = {slot: entry_text.rendered(TEMPLATE, slot).encode() for slot in "AB"}
    for file in device.entries():
        device.entry(file).unlink()
    for file, content in found.items():
        text = texts.get(content[:1], content.encode())
        device.entry(file).write_bytes(trial + text if content.endswith("trial") else text)
    _agrees_with_the_loader(device)
    device.scheme.mark_good("B")
    assert device.scheme.read().slot("B") == Slot(9, confirmed=True)
    assert device.scheme.damage() == ""


def _agrees_with_the_loader(device: EspDevice) -> None:
    """Unless something is damaged: that is told, and the loader may take it all the same."""
    if device.scheme.damage():
        return
    chosen = device.firmware(contents(device.esp)).choose()
    try:
        assert chosen is not None
        assert device.scheme.read().next_slot().lower() == chosen.identity.split("-")[2][0]
    except NothingBootable:
        assert chosen is not None
        assert chosen.identity.startswith("flipside-0-")
