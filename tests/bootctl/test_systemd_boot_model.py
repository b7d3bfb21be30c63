"""The model of systemd-boot does what systemd-boot 257.13 did on OVMF, case by case."""

from __future__ import annotations

import pytest

from models.systemd_boot import ENTRIES, Firmware

KERNELS = {"fs/a/vmlinuz": b"a", "fs/b/vmlinuz": b"b"}


def machine(*entries: str, config: str = "", **variables: str) -> Firmware:
    tree = {**KERNELS, "loader/loader.conf": config.encode()}
    for file in entries:
        slot = "b" if "-b" in file else "a"
        text = f"linux /fs/{slot}/vmlinuz\noptions ro rauc.slot={slot.upper()}\n"
        tree[ENTRIES + file] = text.encode()
    return Firmware(tree, set(KERNELS.values()), variables)


def names(firmware: Firmware) -> set[str]:
    return {path.removeprefix(ENTRIES) for path in firmware.tree if path.startswith(ENTRIES)}


@pytest.mark.parametrize(
    ("entries", "variables", "slots", "left"),
    [
        (("fs-1-a.conf", "fs-2-b+1-2.conf"), {}, "BA", "fs-2-b+0-3.conf"),
        (("fs-1-a.conf", "fs-2-b+0-3.conf"), {}, "A", "fs-2-b+0-3.conf"),
        (
            ("fs-1-a.conf", "fs-2-b+0-3.conf"),
            {"LoaderEntryDefault": "fs-2-b.conf"},
            "BB",
            "fs-2-b+0-5.conf",
        ),
        (
            ("fs-1-a+0-3.conf", "fs-2-b.conf"),
            {"config": "default fs-1-a.conf\n"},
            "A",
            "fs-1-a+0-4.conf",
        ),
        (
            ("fs-1-a.conf", "fs-2-b+0-4.conf"),
            {"LoaderEntryDefault": "fs-2-b+0-4.conf"},
            "A",
            "fs-2-b+0-4.conf",
        ),
        (
            ("fs-1-a.conf", "fs-2-b+0-4.conf"),
            {"LoaderEntryDefault": "fs-*"},
            "A",
            "fs-1-a.conf",
        ),
        (
            ("fs-1-a.conf", "fs-2-b+0-4.conf"),
            {"LoaderEntryOneShot": "fs-2-b.conf"},
            "BA",
            "fs-2-b+0-5.conf",
        ),
        (
            ("fs-1-a.conf", "fs-2-b+3.conf"),
            {"LoaderEntryDefault": "fs-1-a.conf", "LoaderEntryOneShot": "fs-2-b.conf"},
            "BA",
            "fs-2-b+2-1.conf",
        ),
        (("fs-1-a+0-3.conf", "fs-2-b+0-3.conf"), {}, "BB", "fs-2-b+0-5.conf"),
        (("fs-2-a.conf", "fs-10-b.conf"), {}, "B", "fs-10-b.conf"),
        (("fs-2-b+2-1.conf", "fs-2-b+3.conf"), {}, "B", "fs-2-b+2-1.conf"),
        (("fs-2-b+2-1.conf", "fs-2-b+2-2.conf", "fs-1-a.conf"), {}, "B", "fs-2-b+1-2.conf"),
        (
            ("Fs-1-A+3.conf", "fs-2-b.conf"),
            {"LoaderEntryDefault": "fs-1-a.conf"},
            "B",
            "Fs-1-A+3.conf",
        ),
        (
            ("Fs-1-A.conf", "fs-2-b.conf"),
            {"LoaderEntryDefault": "fs-1-a.conf"},
            "A",
            "Fs-1-A.conf",
        ),
    ],
)
def test_the_measured_cases(
    entries: tuple[str, ...], variables: dict[str, str], slots: str, left: str
) -> None:
    firmware = machine(*entries, **variables)
    assert "".join(firmware.panics(len(slots))) == slots
    assert left in names(firmware)


def test_a_missing_kernel_takes_its_entry_off_the_list() -> None:
    firmware = machine("fs-1-a.conf", "fs-2-b+3.conf")
    del firmware.tree["fs/b/vmlinuz"]
    assert firmware.panics() == ["A"]
    assert "fs-2-b+3.conf" in names(firmware)


@pytest.mark.parametrize(("boot_entries", "slots"), [(4, ["A"]), (1, [])])
def test_a_kernel_that_cannot_be_loaded_drops_out_to_the_firmware(
    boot_entries: int, slots: list[str]
) -> None:
    firmware = machine("fs-1-a.conf", "fs-2-b+3.conf")
    firmware.tree["fs/b/vmlinuz"] = b"half"
    firmware.boot_entries = boot_entries
    assert firmware.panics() == slots


def test_a_sort_key_goes_before_every_sequence() -> None:
    firmware = machine("fs-1-a.conf", "fs-2-b.conf")
    firmware.tree[f"{ENTRIES}fs-1-a.conf"] += b"sort-key z\n"
    assert firmware.panics() == ["A"]
