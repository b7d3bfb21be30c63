from __future__ import annotations

from pathlib import Path

import pytest

from flipside_hal import board
from flipside_hal.errors import NoBootSlot, UnknownBoard


def write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    write(tmp_path, "sys/class/dmi/id/sys_vendor", "QEMU\n")
    write(tmp_path, "sys/class/dmi/id/product_serial", "FS 0001/x\n")
    write(tmp_path, "proc/cmdline", "root=PARTLABEL=root-b ro rauc.slot=B flipside.trial=1\n")
    write(tmp_path, "proc/sys/kernel/random/boot_id", "1b4e28ba\n")
    write(tmp_path, "etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    write(tmp_path, "etc/os-release", 'ID=debian\nIMAGE_VERSION="7"\n')
    return tmp_path


def test_a_qemu_machine_is_detected_by_its_vendor(machine: Path) -> None:
    assert board.detect(machine).name.startswith("qemu-")


def test_another_vendor_is_named_in_the_error(machine: Path) -> None:
    write(machine, "sys/class/dmi/id/sys_vendor", "Acme\n")
    with pytest.raises(UnknownBoard, match="Acme, expected a supported board"):
        board.detect(machine)


def test_an_arm64_machine_of_qemu_is_detected_by_its_device_tree(tmp_path: Path) -> None:
    write(tmp_path, "sys/firmware/devicetree/base/compatible", "linux,dummy-virt\0")
    write(tmp_path, "sys/firmware/devicetree/base/serial-number", "unit-7\0")
    assert board.detect(tmp_path) == board.Board("qemu-arm64", "unit-7")
    assert board.identity(tmp_path) == "unit-7"


def test_a_device_tree_of_another_board_is_named_in_the_error(tmp_path: Path) -> None:
    write(tmp_path, "sys/firmware/devicetree/base/compatible", "acme,toaster\0acme,oven\0")
    with pytest.raises(UnknownBoard, match="acme,toaster, expected a supported board"):
        board.detect(tmp_path)


def test_boot_tells_slot_other_and_trial(machine: Path) -> None:
    assert board.boot(machine) == board.Boot("B", "A", "1b4e28ba", trial=True)


def test_a_boot_loader_that_says_no_slot_is_an_error(machine: Path) -> None:
    write(machine, "proc/cmdline", "ro quiet\n")
    with pytest.raises(NoBootSlot, match="expected the boot loader to say A or B"):
        board.boot(machine)


def test_identity_is_the_serial_made_fit_for_a_url(machine: Path) -> None:
    assert board.identity(machine) == "FS-0001-x"


def test_identity_falls_back_on_the_machine_id(machine: Path) -> None:
    write(machine, "sys/class/dmi/id/product_serial", "\n")
    assert board.identity(machine) == "0123456789abcdef0123456789abcdef"


def test_a_machine_without_any_name_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnknownBoard, match="expected a machine-id or a serial number"):
        board.identity(tmp_path)


def test_version_comes_from_os_release(machine: Path) -> None:
    assert board.version(machine) == "7"
    assert board.version(machine / "nowhere") == ""
