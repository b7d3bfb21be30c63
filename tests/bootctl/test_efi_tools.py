"""What efibootmgr and efivar read of ours, and we of theirs, in a directory of variables.

A directory keeps the end of a longer value where Linux's own file system for variables does not, so
nothing is made shorter here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from flipside_bootctl import efi_load_option
from flipside_bootctl.efi_load_option import ACTIVE, LoadOption
from flipside_bootctl.efi_native import EfiNative
from flipside_bootctl.efivars import GLOBAL, EfiVars
from flipside_bootctl.state import BAD, Slot
from models.efi_firmware import Firmware

MISSING = [tool for tool in ("efibootmgr", "efivar") if not shutil.which(tool)]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} missing")


@pytest.fixture
def firmware(tmp_path: Path) -> Firmware:
    firmware = Firmware(tmp_path)
    for number, label in ((1, "A"), (2, "B"), (0x2B, "PXE")):
        firmware.enter(number, label)
    firmware.order(1, 0x2B)
    firmware.boot()
    return firmware


@pytest.fixture
def scheme(firmware: Firmware, tmp_path: Path) -> EfiNative:
    return EfiNative(EfiVars(tmp_path), ("A", "B"))


def run(firmware: Firmware, *command: str) -> str:
    environment = {**os.environ, "EFIVARFS_PATH": f"{firmware.place}/"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return done.stdout


def test_efibootmgr_reads_our_entries(firmware: Firmware) -> None:
    listed = run(firmware, "efibootmgr", "-v").splitlines()
    disk = "HD(1,GPT,03020100-0504-0706-0809-0a0b0c0d0e0f,0x800,0x2000)"
    assert f"Boot0001* A\t{disk}/File(\\EFI\\A.EFI)" in listed
    assert f"Boot002B* PXE\t{disk}/File(\\EFI\\PXE.EFI)" in listed
    assert "BootOrder: 0001,002B" in listed
    assert "BootCurrent: 0001" in listed


def test_efibootmgr_reads_what_we_write(firmware: Firmware, scheme: EfiNative) -> None:
    scheme.select("B")
    assert "BootNext: 0002" in run(firmware, "efibootmgr").splitlines()
    scheme.mark_good("B")
    assert "BootOrder: 0002,0001,002B" in run(firmware, "efibootmgr").splitlines()
    firmware.boot()
    assert "BootCurrent: 0002" in run(firmware, "efibootmgr").splitlines()
    assert "BootNext" not in run(firmware, "efibootmgr")


def test_we_read_what_efibootmgr_writes(firmware: Firmware, scheme: EfiNative) -> None:
    run(firmware, "efibootmgr", "--bootnext", "2")
    assert scheme.read().slots == {"A": Slot(1, confirmed=True), "B": Slot(1, confirmed=False)}
    assert scheme.read().next_slot() == "B"
    run(firmware, "efibootmgr", "--delete-bootnext")
    assert scheme.read().slot("B") == BAD
    run(firmware, "efibootmgr", "--bootorder", "2,1,2B")
    assert scheme.read().order() == ("B", "A")


def test_what_either_writes_is_the_same(firmware: Firmware, scheme: EfiNative) -> None:
    run(firmware, "efibootmgr", "--bootnext", "2")
    theirs = firmware.file("BootNext").read_bytes()
    firmware.file("BootNext").unlink()
    scheme.select("B")
    assert firmware.file("BootNext").read_bytes() == theirs


def test_an_entry_that_efibootmgr_changed_differs_in_that(
    firmware: Firmware, scheme: EfiNative
) -> None:
    if "version 18" in run(firmware, "efibootmgr", "--version"):
        pytest.skip("efibootmgr 18 does not find the entry that it is to make inactive")
    run(firmware, "efibootmgr", "--bootorder", "2,1,2B")
    before = efi_load_option.decode(firmware.get("Boot0002") or b"")
    run(firmware, "efibootmgr", "--inactive", "--bootnum", "2")
    after = efi_load_option.decode(firmware.get("Boot0002") or b"")
    assert after == before._replace(attributes=before.attributes & ~ACTIVE)
    assert scheme.read().slot("B") == BAD


def test_efivar_and_we_copy_an_entry_from_each_other(firmware: Firmware, tmp_path: Path) -> None:
    option = LoadOption(ACTIVE, "Flipside \N{GREEK SMALL LETTER MU}", (efi_load_option.END,), b"\1")
    block = efi_load_option.encode(option)
    EfiVars(tmp_path).write("Boot0003", block)
    dump = run(firmware, "efivar", "--print", "--name", f"{GLOBAL}-Boot0003")
    rows = [line.split("|")[0].split()[1:] for line in dump.partition("Value:\n")[2].splitlines()]
    assert bytes.fromhex("".join(word for row in rows for word in row)) == block
    given = tmp_path / "given"
    given.write_bytes(block)
    # Called --fromfile up to efivar 37, --datafile from 38 on.
    words = ("--write", "--name", f"{GLOBAL}-Boot0004", "-f", str(given))
    run(firmware, "efivar", *words)
    assert EfiVars(tmp_path).read("Boot0004") == block
