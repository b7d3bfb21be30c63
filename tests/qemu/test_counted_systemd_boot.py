"""What systemd-boot starts of the files that a cut has left, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from flipside_agent.journal import Journal, MemoryPages
from flipside_agent.record import Record
from flipside_agent.states import Idle
from flipside_bootctl import entry_text
from flipside_qemu.aftermath import IDENTITY, JOURNAL, Content, Cycle, Remains
from flipside_qemu.harm import Harm, violations
from models.counted_systemd_boot import CountedSystemdBoot
from models.systemd_boot import ENTRIES

TEMPLATE = """\
linux /flipside/@slot@/vmlinuz
initrd /flipside/@slot@/initrd.img
options root=PARTLABEL=root-@slot@ rauc.slot=@SLOT@
"""
A, B = (entry_text.rendered(TEMPLATE, slot).encode() for slot in "AB")
B_ON_TRIAL = entry_text.on_trial(B.decode()).encode()
IMAGES = {
    "flipside/a/vmlinuz": b"kernel 1",
    "flipside/a/initrd.img": b"initrd",
    "flipside/b/vmlinuz": b"kernel 2",
    "flipside/b/initrd.img": b"initrd",
}
LOADER = CountedSystemdBoot(frozenset(IMAGES.values()))


def partition(entries: Mapping[str, bytes]) -> dict[str, bytes]:
    """A boot partition with these entries, by the part of their names that differs."""
    named = {f"{ENTRIES}flipside-{name}.conf": text for name, text in entries.items()}
    return {"loader/loader.conf": b"# Flipside", **IMAGES, **named}


FRESH = partition({"0-a": A, "2-a+9": A})
TRIED = partition({"0-a": A, "2-a+9": A, "3-b+3": B_ON_TRIAL})
LANDED = partition({"0-b": B, "2-a+9": A, "3-b+9": B})


@pytest.mark.parametrize(
    ("files", "attempts"),
    [
        (FRESH, [("A", False), ("A", False)]),
        (TRIED, [("B", True), ("A", False), ("A", False)]),
        (LANDED, [("B", False), ("A", False), ("B", False)]),
        (partition({"2-a+9": A, "3-b+0-3": B_ON_TRIAL}), [("A", False), ("B", True)]),
        (partition({"2-a+0-9": A, "3-b+0-3": B_ON_TRIAL}), [("B", True)]),
        (partition({"0-a": A, "2-a+9": A, "3-b+3": b""}), [("A", False), ("A", False)]),
        (
            {name: data for name, data in TRIED.items() if "b/vmlinuz" not in name},
            [("A", False)] * 2,
        ),
        (partition({}), []),
    ],
)
def test_it_starts_what_has_attempts_left_and_then_what_nothing_is_counted_for(
    files: dict[str, bytes], attempts: list[tuple[str, bool]]
) -> None:
    assert list(LOADER.attempts(files)) == attempts


@pytest.mark.parametrize("name", ["flipside/b/vmlinuz", "flipside/b/initrd.img"])
def test_it_loads_a_slot_only_with_all_that_the_slot_has(name: str) -> None:
    assert LOADER.can_load("B", TRIED)
    damaged = {**TRIED, name: b"half"}
    assert not LOADER.can_load("B", damaged)
    assert LOADER.can_load("A", damaged)


def test_it_cannot_load_an_initrd_that_is_gone() -> None:
    lost = {name: data for name, data in TRIED.items() if name != "flipside/b/initrd.img"}
    assert not LOADER.can_load("B", lost)


def harms(boot: Mapping[str, bytes]) -> list[Harm]:
    pages = MemoryPages()
    Journal(pages).save(Record(Idle(), boot="boot"))
    data = {JOURNAL: pages.read(0), IDENTITY: b"unit-1"}
    slots = {"A": Content.OLD, "B": Content.NEW}
    cycle = Cycle(LOADER, Remains(FRESH, slots, data), "1")
    return [one.harm for one in violations(cycle, Remains(boot, slots, data))]


def test_entries_and_kernels_change_and_nothing_else_does() -> None:
    assert harms(FRESH) == []
    assert harms({**FRESH, "flipside/b/vmlinuz": b"being copied"}) == []
    assert harms({**FRESH, "loader/loader.conf": b""}) == [Harm.BRICK]


def test_a_kernel_that_may_be_started_and_is_not_the_slots_is_a_brick() -> None:
    assert harms({**FRESH, "flipside/a/vmlinuz": b"half"}) == [Harm.BRICK]
    assert Harm.BRICK in harms({**TRIED, "flipside/b/vmlinuz": b"half"})


def test_no_entry_is_a_brick() -> None:
    assert harms(partition({})) == [Harm.BRICK]
