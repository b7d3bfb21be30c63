"""Power cuts while the entries are written: after each operation, with all that may be lost.

Every loose piece may be on the disk or not, in every combination, and clusters that were given
back are used again at once. What is then read is the old state or the new one, and what then boots
is a whole kernel of a slot that this state names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from flipside_bootctl import flushed
from flipside_bootctl.errors import BootControlError
from flipside_bootctl.state import BootState, Slot
from models.esp_device import EspDevice, kernel
from models.systemd_boot import Tree
from models.vfat import Died, Vfat, contents, lay_out

pytestmark = pytest.mark.usefixtures("nobody_pulls_the_plug")

Verb = Callable[[EspDevice], None]
Meaning = tuple[str, dict[str, tuple[int, bool]]]


@pytest.fixture(autouse=True)
def _kernels_in_two_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flushed, "CHUNK", len(kernel(1)) // 2 + 1)


def meaning(state: BootState) -> Meaning:
    """What of a state decides anything: a slot without attempts is bad, whatever it was."""
    slots = {
        name: (slot.left, slot.confirmed and slot.left > 0) for name, slot in state.slots.items()
    }
    order = [name for name in state.order() if state.slot(name).left]
    return (order[0] if order else "", slots)


def fresh(device: EspDevice) -> None:
    """Version 1 in A, nothing in B."""
    device.make()


def pending(device: EspDevice) -> None:
    """Version 2 waits in B for its trial."""
    device.make().install("B", 2)


def on_trial(device: EspDevice) -> None:
    """B runs for the first time."""
    pending(device)
    device.boot()


def at_last(device: EspDevice) -> None:
    """B runs for the last time."""
    pending(device)
    device.boots(3)


def updated(device: EspDevice) -> None:
    """B is confirmed, and was booted again."""
    on_trial(device)
    device.scheme.mark_good("B")
    device.boot()


def failed(device: EspDevice) -> None:
    """B was left after three boots, and A runs."""
    pending(device)
    device.boots(4)


def being_written(device: EspDevice) -> None:
    """B, once confirmed, is marked bad, and another image lies in it."""
    updated(device)
    device.scheme.mark_bad("B")
    device.fill("B", 3)


def written_to_a(device: EspDevice) -> None:
    """The same on the other side."""
    updated(device)
    device.scheme.mark_bad("A")
    device.fill("A", 3)


def written_for_the_first_time(device: EspDevice) -> None:
    """The first image lies in B."""
    device.make()
    device.fill("B", 2)


def only_rescue(device: EspDevice) -> None:
    """All but the rescue entry is lost, while B runs."""
    updated(device)
    for file in device.entries():
        if not file.startswith("flipside-0"):
            device.entry(file).unlink()


def damaged(device: EspDevice) -> None:
    """Leftovers, an empty entry, and a rescue entry that is missing."""
    updated(device)
    device.entry("flipside-0-b.conf").unlink()
    device.entry("flipside-2-a+8-1.conf").write_bytes(b"")
    device.entry("NEW0.TMP").write_bytes(device.entry("flipside-3-b+8-1.conf").read_bytes())
    device.entry("NEW1.TMP").write_bytes(b"half an en")


def select_a(device: EspDevice) -> None:
    device.scheme.select("A")


def select_b(device: EspDevice) -> None:
    device.scheme.select("B")


def good_a(device: EspDevice) -> None:
    device.scheme.mark_good("A")


def good_b(device: EspDevice) -> None:
    device.scheme.mark_good("B")


def bad_a(device: EspDevice) -> None:
    device.scheme.mark_bad("A")


def bad_b(device: EspDevice) -> None:
    device.scheme.mark_bad("B")


STEPS: list[tuple[Verb, Verb]] = [
    (fresh, good_a),
    (fresh, bad_b),
    (written_for_the_first_time, select_b),
    (written_for_the_first_time, good_b),
    (pending, bad_b),
    (on_trial, good_b),
    (on_trial, bad_b),
    (at_last, good_b),
    (failed, good_a),
    (failed, bad_b),
    (updated, good_b),
    (updated, select_a),
    (updated, bad_a),
    (updated, bad_b),
    (being_written, select_b),
    (written_to_a, select_a),
    (only_rescue, good_b),
    (damaged, good_b),
    (damaged, bad_a),
]
IDS = [f"{start.__name__}-{verb.__name__}" for start, verb in STEPS]


@pytest.fixture
def device(tmp_path: Path) -> EspDevice:
    return EspDevice(tmp_path / "device")


def check(device: EspDevice, trees: Iterable[tuple[Tree, str]], allowed: list[Meaning]) -> None:
    """Look at everything that may be left."""
    seen: set[frozenset[tuple[str, bytes]]] = set()
    for tree, cut in trees:
        key = frozenset(tree.items())
        if key not in seen:
            seen.add(key)
            lay_out(tree, device.esp)
            _check_one(device, tree, cut, allowed)


def _check_one(device: EspDevice, tree: Tree, cut: str, allowed: list[Meaning]) -> None:
    read = meaning(device.scheme.read_or_rebuild())
    assert read in allowed, f"{cut}: {read}, expected one of {allowed}"
    started = device.firmware(dict(tree)).boot()
    assert started, f"{cut}: nothing boots"
    assert started.slot == read[0], f"{cut}: {started.slot} boots, {read[0]} was told"
    whole = tree[f"flipside/{started.slot.lower()}/vmlinuz"]
    assert whole in {kernel(version) for version in range(4)}, cut
    assert started.trial != read[1][started.slot][1], f"{cut}: trial and confirmed at once"


@pytest.mark.parametrize(("start", "verb"), STEPS, ids=IDS)
def test_a_cut_leaves_the_old_state_or_the_new(device: EspDevice, start: Verb, verb: Verb) -> None:
    start(device)
    old = meaning(device.scheme.read_or_rebuild())
    disk = Vfat(device.esp)
    with disk.recording():
        verb(device)
    new = meaning(device.scheme.read())
    assert device.scheme.damage() == ""
    check(device, disk.cuts(), [old, new])
    check(device, disk.cut(), [new])


@pytest.mark.parametrize(("start", "verb"), STEPS, ids=IDS)
def test_after_a_cut_the_same_verb_brings_the_new_state(
    device: EspDevice, start: Verb, verb: Verb
) -> None:
    """And so does a second one, cut anywhere as well, of what the first one left."""
    start(device)
    old = meaning(device.scheme.read_or_rebuild())
    disk = Vfat(device.esp)
    with disk.recording():
        verb(device)
    new = meaning(device.scheme.read())
    left = {frozenset(tree.items()): tree for tree, _ in disk.cuts()}
    for tree in left.values():
        lay_out(tree, device.esp)
        again = Vfat(device.esp)
        with again.recording():
            verb(device)
        assert meaning(device.scheme.read()) == new
        check(device, again.cuts(), [old, new])


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize(("start", "verb"), STEPS, ids=IDS)
def test_the_death_of_the_program_and_then_a_cut(
    device: EspDevice, start: Verb, verb: Verb, torn: bool
) -> None:
    """RAUC is killed in the middle, is started again on the same boot, and then the power fails."""
    start(device)
    old = meaning(device.scheme.read_or_rebuild())
    before = contents(device.esp)
    moment = 0
    while _dies(device, verb, moment, torn, old):
        lay_out(before, device.esp)
        moment += 1


def _dies(device: EspDevice, verb: Verb, moment: int, torn: bool, old: Meaning) -> bool:
    disk = Vfat(device.esp, renames_are_torn=torn, dies_after=moment)
    with disk.recording():
        try:
            verb(device)
            died = False
        except Died:
            died = True
        disk.dies_after = None
        verb(device)
    new = meaning(device.scheme.read())
    check(device, disk.cuts(), [old, new])
    check(device, disk.cut(), [new])
    return died


@pytest.mark.parametrize(("start", "verb"), STEPS, ids=IDS)
def test_renames_torn_over_two_sectors(device: EspDevice, start: Verb, verb: Verb) -> None:
    start(device)
    old = meaning(device.scheme.read_or_rebuild())
    disk = Vfat(device.esp, renames_are_torn=True)
    with disk.recording():
        verb(device)
    new = meaning(device.scheme.read())
    check(device, disk.cuts(), [old, new])


def test_a_kernel_changed_without_marking_bad_takes_its_slot_away_meanwhile(
    device: EspDevice,
) -> None:
    updated(device)
    device.fill("A", 3)
    old = meaning(device.scheme.read())
    disk = Vfat(device.esp)
    with disk.recording():
        device.scheme.select("A")
    new = meaning(device.scheme.read())
    without = (old[0], {**old[1], "A": (0, False)})
    check(device, disk.cuts(), [old, without, new])


def test_after_any_cut_of_an_update_the_next_one_works(device: EspDevice) -> None:
    being_written(device)
    disk = Vfat(device.esp)
    with disk.recording():
        device.scheme.select("B")
    for tree in {frozenset(tree.items()): tree for tree, _ in disk.cuts()}.values():
        lay_out(tree, device.esp)
        started = device.boot()
        assert started
        device.scheme.mark_good(started.slot)
        other = "A" if started.slot == "B" else "B"
        device.install(other, 4)
        assert device.boots(1) == other
        device.scheme.mark_good(other)
        assert device.scheme.read().slot(other) == Slot(9, confirmed=True)


def test_a_partition_that_is_full_keeps_what_boots(
    device: EspDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    being_written(device)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", full)
    with pytest.raises(BootControlError, match="No space left on device"):
        device.scheme.select("B")
    monkeypatch.undo()
    assert device.boots(1) == "A"
