from __future__ import annotations

from pathlib import Path

import pytest

from flipside_bootctl import grubenv
from flipside_bootctl.errors import DamagedState, StateNotStored
from flipside_bootctl.grub_counted import GrubCounted
from flipside_bootctl.state import BAD, Slot


@pytest.fixture
def grub(tmp_path: Path) -> GrubCounted:
    scheme = GrubCounted(tmp_path)
    scheme.create("A")
    return scheme


def boot_env(grub: GrubCounted) -> Path:
    return Path(grub.boot_env)


def commit_env(grub: GrubCounted) -> Path:
    return Path(grub.commit_env)


def test_a_fresh_device_boots_its_one_slot(grub: GrubCounted) -> None:
    assert grub.read().next_slot() == "A"
    assert grub.committed() == "A"


def test_a_whole_update(grub: GrubCounted) -> None:
    grub.mark_bad("B")
    grub.select("B")
    assert grub.read().next_slot() == "B"
    assert grub.committed() == "A"
    grub.mark_good("B")
    assert grub.committed() == "B"
    assert grub.read().slot("A") == Slot(left=9, confirmed=True)


def test_a_failed_install_keeps_its_fallback(grub: GrubCounted) -> None:
    grub.mark_bad("B")
    assert grub.read().next_slot() == "A"
    assert grub.read().slot("A").left == 9


def test_only_the_first_sector_changes_and_the_file_stays_where_it_is(grub: GrubCounted) -> None:
    before, inode = boot_env(grub).read_bytes(), boot_env(grub).stat().st_ino
    grub.select("B")
    after = boot_env(grub).read_bytes()
    assert boot_env(grub).stat().st_ino == inode
    assert len(after) == len(before) == 1024
    assert after[512:] == before[512:]
    assert after[:512] != before[:512]


def test_the_commit_file_is_not_rewritten_by_an_ordinary_confirmation(grub: GrubCounted) -> None:
    before = commit_env(grub).stat().st_mtime_ns
    grub.mark_good("A")
    assert commit_env(grub).stat().st_mtime_ns == before


DAMAGE = [b"", b"x" * 1024, b"# GRUB Environment Block\n".ljust(1024, b"#"), b"# GRUB"]


@pytest.mark.parametrize("rubbish", DAMAGE)
def test_damage_is_told_and_acted_upon_as_grub_does(grub: GrubCounted, rubbish: bytes) -> None:
    boot_env(grub).write_bytes(rubbish)
    with pytest.raises(DamagedState, match=r"boot\.env|primary"):
        grub.read()
    assert grub.read_or_rebuild().next_slot() == "A"


@pytest.mark.parametrize("rubbish", DAMAGE)
def test_confirming_repairs_damage_in_favour_of_the_confirmed_slot(
    grub: GrubCounted, rubbish: bytes
) -> None:
    boot_env(grub).write_bytes(rubbish)
    grub.mark_good("B")
    assert grub.read().next_slot() == "B"
    assert grub.read().slot("A").confirmed, "the committed slot stays as the fallback"
    assert grub.committed() == "B"


@pytest.mark.parametrize("rubbish", DAMAGE)
def test_without_both_files_only_the_slot_that_is_confirmed_is_known_to_be_good(
    grub: GrubCounted, rubbish: bytes
) -> None:
    boot_env(grub).write_bytes(rubbish)
    commit_env(grub).write_bytes(rubbish)
    grub.mark_good("B")
    assert grub.read().slot("A") == BAD, "nobody has said that A is whole"
    assert grub.read().next_slot() == grub.committed() == "B"
    assert grub.damage() == ""


def test_both_files_gone_means_slot_a(grub: GrubCounted) -> None:
    boot_env(grub).unlink()
    commit_env(grub).unlink()
    assert grub.committed() == "A"
    assert grub.read_or_rebuild().slot("B") == BAD
    grub.mark_good("A")
    assert grub.read().next_slot() == "A"


@pytest.mark.parametrize("length", range(512))
def test_a_write_torn_inside_the_sector_is_never_another_good_state(
    grub: GrubCounted, length: int
) -> None:
    """Disks write a sector whole; should one not, the state is old, new, or seen as damaged."""
    old = boot_env(grub).read_bytes()
    grub.select("B")
    new = boot_env(grub).read_bytes()
    boot_env(grub).write_bytes(new[:length] + old[length:])
    state = grub.read_or_rebuild()
    assert state.slot("A") == Slot(left=9, confirmed=True)
    assert state.next_slot() in ("A", "B")
    if state.next_slot() == "B":
        assert state.slot("B") == Slot(left=3, confirmed=False)


def test_damaged_padding_is_mended(grub: GrubCounted) -> None:
    block = boot_env(grub).read_bytes()
    boot_env(grub).write_bytes(block[:512] + b"rubbish\n".ljust(512, b"x"))
    grub.select("B")
    assert boot_env(grub).read_bytes()[512:] == b"#" * 512


def test_an_unwritable_partition_is_one_sentence(tmp_path: Path) -> None:
    scheme = GrubCounted(tmp_path / "missing")
    with pytest.raises(StateNotStored, match="expected to write the boot state"):
        scheme.mark_good("A")


def test_grubenv_has_room_for_every_state(grub: GrubCounted) -> None:
    text = boot_env(grub).read_bytes().rstrip(b"#")
    assert len(text) < grubenv.SECTOR // 2
