from __future__ import annotations

from pathlib import Path

import pytest

from flipside_bootctl import boot_order, fw_env_config, uboot_env
from flipside_bootctl.errors import DamagedState
from flipside_bootctl.loader_environment import LoaderEnvironment
from flipside_bootctl.state import Slot
from flipside_bootctl.uboot_env import Copy
from flipside_bootctl.uboot_storage import UbootStorage

SIZE = 1024
FRESH = {"BOOT_ORDER": "A B", "BOOT_A_LEFT": "3", "BOOT_B_LEFT": "3", "bootcmd": "run rauc"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "env"
    file.write_bytes(b"".join(uboot_env.encode(Copy(FRESH, flag), SIZE) for flag in (1, 0)))
    return file


@pytest.fixture
def storage(file: Path) -> UbootStorage:
    lines = f"{file} 0 {SIZE}\n{file} {SIZE} {SIZE}\n"
    return UbootStorage(fw_env_config.parse(lines, "fw_env.config"), "/")


@pytest.fixture
def scheme(storage: UbootStorage) -> LoaderEnvironment:
    return LoaderEnvironment(storage, boot_order)


def test_a_whole_update(scheme: LoaderEnvironment, storage: UbootStorage) -> None:
    scheme.mark_good("A")
    scheme.mark_bad("B")
    scheme.select("B")
    assert scheme.read().slot("B") == Slot(3, confirmed=False)
    assert storage.read()["BOOT_ORDER"] == "B A"
    scheme.mark_good("B")
    assert scheme.read().slots == dict.fromkeys("AB", Slot(9, confirmed=True))
    assert storage.read()["bootcmd"] == "run rauc"


def test_a_failed_install_keeps_its_fallback(
    scheme: LoaderEnvironment, storage: UbootStorage
) -> None:
    """RAUC's own backend takes it out of the order, and marking it good does not bring it back."""
    scheme.mark_bad("B")
    assert storage.read()["BOOT_ORDER"] == "A B"
    scheme.mark_good("A")
    scheme.mark_good("B")
    assert scheme.read().order() == ("A", "B")
    assert scheme.read().slot("B").left == 9


def test_variables_without_sense_are_told_and_mended(
    scheme: LoaderEnvironment, storage: UbootStorage
) -> None:
    storage.write({"BOOT_A_LEFT": "many"})
    assert scheme.damage() == "boot state: BOOT_A_LEFT is 'many', expected one digit"
    assert scheme.read_or_rebuild().next_slot() == "A"
    scheme.mark_good("B")
    assert scheme.read().next_slot() == "B"
    assert scheme.damage() == ""


def test_without_an_environment_nothing_is_confirmed(scheme: LoaderEnvironment, file: Path) -> None:
    file.write_bytes(bytes(2 * SIZE))
    assert scheme.read_or_rebuild().next_slot() == "A"
    with pytest.raises(DamagedState, match="checksum"):
        scheme.mark_good("A")
