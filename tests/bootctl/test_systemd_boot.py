from __future__ import annotations

from pathlib import Path

import pytest

from flipside_bootctl import entry_text, flushed, systemd_boot
from flipside_bootctl.boot_entry import EntryName
from flipside_bootctl.errors import (
    DamagedState,
    NothingBootable,
    SlotUnreadable,
    StateNotStored,
    UnknownSlot,
)
from flipside_bootctl.state import BAD, Slot
from models.esp_device import EspDevice, kernel

pytestmark = pytest.mark.usefixtures("nobody_pulls_the_plug")

CONFIRMED = Slot(9, confirmed=True)


@pytest.fixture
def device(tmp_path: Path) -> EspDevice:
    return EspDevice(tmp_path).make()


def test_a_fresh_device_boots_its_one_slot(device: EspDevice) -> None:
    assert device.entries() == ["flipside-0-a.conf", "flipside-2-a+9.conf"]
    assert device.scheme.read().slots == {"A": CONFIRMED, "B": BAD}
    assert device.scheme.damage() == ""


def test_no_directory_has_to_be_made_in_the_life_of_a_device(device: EspDevice) -> None:
    before = {one for one in device.esp.rglob("*") if one.is_dir()}
    device.install("B", 2)
    device.boot()
    device.scheme.mark_good("B")
    assert {one for one in device.esp.rglob("*") if one.is_dir()} == before


def test_a_whole_update(device: EspDevice) -> None:
    device.install("B", 2)
    assert device.scheme.read().slots == {"A": CONFIRMED, "B": Slot(3, confirmed=False)}
    started = device.boot()
    assert started is not None
    assert (started.slot, started.trial, started.image) == ("B", True, kernel(2))
    device.scheme.mark_good("B")
    assert device.scheme.read().slots == {"A": CONFIRMED, "B": CONFIRMED}
    names = ["flipside-0-b.conf", "flipside-2-a+9.conf", "flipside-3-b+9.conf"]
    assert device.entries() == names
    started = device.boot()
    assert started is not None
    assert (started.slot, started.trial) == ("B", False)


def test_three_panics_and_the_old_slot_is_back(device: EspDevice) -> None:
    device.install("B", 2)
    assert device.boots(4) == "BBBA"
    assert device.scheme.read().slot("B") == Slot(0, confirmed=False)
    assert device.scheme.read().next_slot() == "A"
    device.scheme.mark_good("A")
    device.install("B", 3)
    assert device.boots(1) == "B"


def test_two_power_cuts_in_a_row_do_not_cost_a_healthy_update(device: EspDevice) -> None:
    device.install("B", 2)
    assert device.boots(3) == "BBB"
    assert device.scheme.read().slot("B").left == 0, "the running slot has used its last attempt"
    device.scheme.mark_good("B")
    assert device.boots(5) == "BBBBB"


def test_a_confirmed_slot_is_left_after_nine_boots_and_not_before(device: EspDevice) -> None:
    device.install("B", 2)
    device.boot()
    device.scheme.mark_good("B")
    assert device.boots(8) == "B" * 8
    device.scheme.mark_good("B")
    assert device.boots(10) == "B" * 9 + "A"
    device.scheme.mark_good("A")
    assert device.boots(1) == "A"
    device.install("B", 3)
    assert device.boots(1) == "B"


def test_without_any_attempt_the_committed_slot_boots_for_ever(device: EspDevice) -> None:
    device.install("B", 2)
    device.boot()
    device.scheme.mark_good("B")
    assert device.boots(25) == "B" * 9 + "A" * 9 + "B" * 7
    with pytest.raises(NothingBootable, match="no slot has attempts left"):
        device.scheme.read().next_slot()
    device.scheme.mark_good("B")
    assert device.scheme.read().next_slot() == "B"


def test_a_bad_slot_that_is_confirmed_again_has_its_place_again(device: EspDevice) -> None:
    device.install("B", 2)
    device.scheme.mark_bad("B")
    assert device.scheme.read().next_slot() == "A"
    device.scheme.mark_good("B")
    assert device.scheme.read().next_slot() == "B"


def test_going_back_to_a_confirmed_slot_is_no_trial(device: EspDevice) -> None:
    device.install("B", 2)
    device.boot()
    device.scheme.mark_good("B")
    device.scheme.select("A")
    assert device.scheme.read().slots == {"A": CONFIRMED, "B": CONFIRMED}
    started = device.boot()
    assert started is not None
    assert (started.slot, started.trial) == ("A", False)


def test_a_slot_nobody_ever_selected_is_confirmed_below_the_other(device: EspDevice) -> None:
    device.fill("B", 2)
    device.scheme.mark_good("B")
    assert device.scheme.read().slots == {"A": CONFIRMED, "B": CONFIRMED}
    assert device.scheme.read().next_slot() == "A"


def test_every_verb_may_be_repeated(device: EspDevice) -> None:
    device.fill("B", 2)
    for verb in (device.scheme.mark_bad, device.scheme.select, device.scheme.mark_good):
        verb("B")
        stamps = {file: device.entry(file).stat().st_ino for file in device.entries()}
        verb("B")
        assert {file: device.entry(file).stat().st_ino for file in device.entries()} == stamps


@pytest.mark.parametrize("verb", ["select", "mark_good", "mark_bad", "create"])
def test_a_slot_that_is_none_is_refused_and_nothing_is_written(
    device: EspDevice, verb: str
) -> None:
    before = device.entries()
    with pytest.raises(UnknownSlot, match="'C' is not a slot of this device, expected A or B"):
        getattr(device.scheme, verb)("C")
    assert device.entries() == before


def test_the_rescue_entry_leaves_a_slot_that_is_to_be_overwritten(device: EspDevice) -> None:
    device.install("B", 2)
    device.boot()
    device.scheme.mark_good("B")
    assert "flipside-0-b.conf" in device.entries()
    device.scheme.mark_bad("B")
    assert device.scheme.read().slots == {"A": CONFIRMED, "B": BAD}
    assert device.entries() == ["flipside-0-a.conf", "flipside-2-a+9.conf", "flipside-3-b+0.conf"]


def test_the_rescue_entry_does_not_go_to_a_slot_that_was_declared_bad(device: EspDevice) -> None:
    device.install("B", 2)
    device.scheme.mark_bad("B")
    device.scheme.mark_bad("A")
    assert "flipside-0-a.conf" in device.entries()
    assert device.boots(3) == "AAA"


def test_the_kernel_of_the_only_slot_that_boots_is_not_overwritten(device: EspDevice) -> None:
    device.fill("A", 2)
    with pytest.raises(StateNotStored, match="slot A is the only one that boots"):
        device.scheme.select("A")
    started = device.boot()
    assert started is not None
    assert started.image == kernel(1)


def test_a_changed_kernel_of_a_confirmed_slot_is_on_trial(device: EspDevice) -> None:
    device.install("B", 2)
    device.boot()
    device.scheme.mark_good("B")
    device.fill("A", 3)
    device.scheme.select("A")
    assert device.scheme.read().slot("A") == Slot(3, confirmed=False)


def test_files_of_the_last_image_go(device: EspDevice) -> None:
    device.install("B", 2)
    (device.esp / "flipside/b/old.dtb").write_bytes(b"of an image before")
    device.install("B", 3)
    files = sorted(one.name for one in (device.esp / "flipside/b").iterdir())
    assert files == ["initrd.img", "vmlinuz"]


def test_an_image_without_an_initrd(device: EspDevice) -> None:
    device.scheme.mark_bad("B")
    device.fill("B", 2)
    template = device.path / "B/boot/entry.conf"
    lines = template.read_text().splitlines(keepends=True)
    template.write_text("".join(line for line in lines if not line.startswith("initrd")))
    (device.path / "B/boot/initrd.img").unlink()
    device.scheme.select("B")
    assert device.boots(1) == "B"


def test_a_kernel_that_cannot_be_loaded_is_left_although_it_has_an_initrd(
    device: EspDevice,
) -> None:
    device.install("B", 2)
    (device.esp / "flipside/b/vmlinuz").write_bytes(b"the beginning of a kernel")
    assert device.boots(1) == "A"
    assert device.scheme.read().slot("B").left == 0


@pytest.mark.parametrize("file", ["vmlinuz", "initrd.img", "entry.conf"])
def test_an_image_that_lacks_a_file_is_not_selected(device: EspDevice, file: str) -> None:
    device.scheme.mark_bad("B")
    device.fill("B", 2)
    (device.path / "B/boot" / file).unlink()
    with pytest.raises((SlotUnreadable, StateNotStored), match=file):
        device.scheme.select("B")
    assert device.boots(2) == "AA"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("sort-key a", "key 'sort-key', expected one of linux"),
        ("linux /flipside/b/other", "expected one line that names a kernel"),
        ("initrd /elsewhere/initrd", "expected a file in /flipside/b"),
        ("options rauc.slot=A", r"options say \['rauc.slot=B', 'rauc.slot=A'\]"),
        ("options flipside.trial=1", "expected it to be left to us"),
    ],
)
def test_a_template_that_would_break_the_scheme_is_refused(
    device: EspDevice, line: str, sentence: str
) -> None:
    device.fill("B", 2)
    template = device.path / "B/boot/entry.conf"
    template.write_text(f"{template.read_text()}{line}\n")
    with pytest.raises(SlotUnreadable, match=sentence):
        device.scheme.select("B")
    assert device.boots(1) == "A"


def test_a_template_of_no_text_is_refused(device: EspDevice) -> None:
    device.fill("B", 2)
    (device.path / "B/boot/entry.conf").write_bytes(b"\xff\xfe")
    with pytest.raises(SlotUnreadable, match=r"entry\.conf"):
        device.scheme.select("B")


def test_a_copy_that_reads_back_differently_is_not_booted(
    device: EspDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.scheme.mark_bad("B")
    device.fill("B", 2)

    def bad_flush(path: str) -> None:
        Path(path).write_bytes(b"what a worn cell makes of it")

    monkeypatch.setattr(flushed, "_flush", bad_flush)
    with pytest.raises(StateNotStored, match="expected to read what was written"):
        device.scheme.select("B")
    assert device.boots(2) == "AA"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("LoaderEntryDefault", "LoaderEntryDefault goes before"), ("LoaderEntryOneShot", "OneShot")],
)
def test_variables_that_override_the_counters_are_told(
    device: EspDevice, name: str, sentence: str
) -> None:
    efivars = device.path / "efivars"
    efivars.mkdir()
    (efivars / f"{name}-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f").write_bytes(b"")
    assert sentence in device.scheme.damage()


def test_a_default_in_the_configuration_is_told(device: EspDevice) -> None:
    config = device.esp / "loader/loader.conf"
    config.write_text(f"{config.read_text()}default flipside-*\n")
    assert "loader.conf: default 'flipside-*' goes before all counters" in device.scheme.damage()


def test_an_esp_of_ours_is_known_by_its_configuration(device: EspDevice, tmp_path: Path) -> None:
    assert systemd_boot.has_scheme(device.esp)
    (device.esp / "loader/loader.conf").write_text("timeout 3\n")
    assert not systemd_boot.has_scheme(device.esp)
    assert not systemd_boot.has_scheme(tmp_path / "nowhere")


def test_without_entries_nothing_boots_and_confirming_the_running_slot_mends_it(
    device: EspDevice,
) -> None:
    device.install("B", 2)
    for file in device.entries():
        device.entry(file).unlink()
    assert "no entry for A or B" in device.scheme.damage()
    with pytest.raises(DamagedState, match="no entry for A or B"):
        device.scheme.read()
    device.scheme.mark_good("B")
    assert device.entries() == ["flipside-0-b.conf", "flipside-2-b+9.conf"]
    assert device.scheme.damage() == ""
    assert device.boots(10) == "B" * 10


def test_with_the_rescue_entry_alone_the_running_slot_goes_first(device: EspDevice) -> None:
    device.install("B", 2)
    device.boot()
    for file in ("flipside-2-a+9.conf", "flipside-3-b+2-1.conf"):
        device.entry(file).unlink()
    assert device.scheme.read_or_rebuild().next_slot() == "A"
    device.scheme.mark_good("B")
    assert device.scheme.read().slots == {"A": CONFIRMED, "B": CONFIRMED}
    assert device.boots(10) == "B" * 9 + "A"


def test_an_entry_that_a_torn_rename_lost_leaves_the_other_slot(device: EspDevice) -> None:
    device.install("B", 2)
    device.renames_are_torn = True
    assert device.boots(2) == "BA"
    device.renames_are_torn = False
    assert device.boots(1) == "A", "both counted entries are gone, the rescue entry boots"
    device.scheme.mark_good("A")
    assert device.scheme.read().slot("A") == CONFIRMED


def test_a_confirmation_by_systemd_itself_is_told_and_undone(device: EspDevice) -> None:
    device.install("B", 2)
    device.boot()
    device.entry("flipside-3-b+2-1.conf").rename(device.entry("flipside-3-b.conf"))
    assert "expected systemd-bless-boot to be masked" in device.scheme.damage()
    assert device.scheme.read().slot("B") == Slot(3, confirmed=False)
    device.scheme.mark_good("A")
    assert device.scheme.damage() == ""
    assert device.boots(4) == "BBBA"


def test_a_partition_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    device = EspDevice(tmp_path).make()
    (device.esp / "loader/entries").rename(device.esp / "loader/elsewhere")
    (device.esp / "loader/entries").write_bytes(b"")
    with pytest.raises((StateNotStored, DamagedState), match="entries: "):
        device.scheme.mark_bad("A")


def test_every_name_takes_three_places_in_a_fat_directory(device: EspDevice) -> None:
    assert len(EntryName(999_999, "B", 8, 1).file()) <= 26
    assert len(entry_text.on_trial(device.entry("flipside-2-a+9.conf").read_text())) <= 512
