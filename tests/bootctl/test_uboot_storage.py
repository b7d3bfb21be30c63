from __future__ import annotations

import fcntl
import os
import threading
from itertools import compress, product
from pathlib import Path
from unittest.mock import patch

import pytest

from flipside_bootctl import fw_env_config, uboot_env, uboot_storage
from flipside_bootctl.errors import DamagedState, StateNotStored
from flipside_bootctl.uboot_env import Copy
from flipside_bootctl.uboot_storage import LOCKS, UbootStorage
from models.torn_write import Cut, power_until

SIZE = 1024
OLD = {"BOOT_ORDER": "A B", "BOOT_A_LEFT": "9", "padding": "x" * 500, "zone": "old"}
NEW = {**OLD, "BOOT_ORDER": "B A", "BOOT_A_LEFT": "3", "zone": "new"}
CHANGES = {name: value for name, value in NEW.items() if OLD[name] != value}


class Board:
    """A board's device with one or two copies."""

    def __init__(self, root: Path, flags: tuple[int | None, ...], offset: int = 4096) -> None:
        self.device = root / "device"
        self.root = root
        self.offsets = [offset + 8192 * number for number in range(len(flags))]
        content = bytearray(os.urandom(32768))
        for flag, at in zip(flags, self.offsets, strict=True):
            content[at : at + SIZE] = uboot_env.encode(Copy(OLD, flag), SIZE)
        self.device.write_bytes(content)
        lines = "".join(f"/device {at:#x} {SIZE:#x}\n" for at in self.offsets)
        self.storage = UbootStorage(fw_env_config.parse(lines, "fw_env.config"), root)

    def spoil(self, number: int) -> None:
        content = bytearray(self.device.read_bytes())
        content[self.offsets[number] + 99] ^= 1
        self.device.write_bytes(content)


def test_what_is_written_is_read_and_nothing_else_is_touched(tmp_path: Path) -> None:
    for flags in ((None,), (4, 3), (255, 0)):
        board = Board(tmp_path, flags)
        before = board.device.read_bytes()
        board.storage.write(CHANGES)
        assert board.storage.read() == NEW
        after = board.device.read_bytes()
        for at in reversed(board.offsets):
            before, after = (text[:at] + text[at + SIZE :] for text in (before, after))
        assert before == after


def test_what_is_so_already_is_not_written(tmp_path: Path) -> None:
    board = Board(tmp_path, (4, 3))
    board.device.chmod(0o400)
    with patch("os.pwrite", side_effect=AssertionError("nothing is to be written")):
        board.storage.write({"zone": "old"})


def test_copies_take_turns_until_the_serial_wraps_and_beyond(tmp_path: Path) -> None:
    board = Board(tmp_path, (254, 253))
    for number in range(5):
        board.storage.write({"zone": str(number)})
        assert board.storage.read()["zone"] == str(number)


def test_a_copy_from_the_end_of_the_device(tmp_path: Path) -> None:
    board = Board(tmp_path, (None,), offset=32768 - SIZE)
    areas = fw_env_config.parse(f"/device -{SIZE} {SIZE}", "fw_env.config")
    UbootStorage(areas, tmp_path).write(CHANGES)
    assert board.storage.read() == NEW


def test_a_damaged_copy_is_told_and_mended_by_the_next_write(tmp_path: Path) -> None:
    board = Board(tmp_path, (4, 3))
    board.spoil(0)
    assert board.storage.read() == OLD
    assert "device: environment with checksum" in board.storage.damage()
    board.storage.write(CHANGES)
    assert (board.storage.read(), board.storage.damage()) == (NEW, "")


def test_with_no_copy_left_nothing_is_made_up(tmp_path: Path) -> None:
    # A new one would lack everything that the built-in environment has, such as how to boot.
    board = Board(tmp_path, (4, 3))
    board.spoil(0)
    board.spoil(1)
    for attempt in (board.storage.read, lambda: board.storage.write(CHANGES)):
        with pytest.raises(DamagedState, match=r"checksum .*; .*checksum"):
            attempt()


@pytest.mark.parametrize("content", [b"", b"short", None])
def test_files_that_are_no_environment(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "device").write_bytes(content)
    storage = UbootStorage(fw_env_config.parse("/device 0 64", "fw_env.config"), tmp_path)
    with pytest.raises(DamagedState, match=r"ends within|No such file"):
        storage.read()


def test_more_than_fits_changes_nothing(tmp_path: Path) -> None:
    board = Board(tmp_path, (4, 3))
    with pytest.raises(StateNotStored, match="expected at most"):
        board.storage.write({"zone": "x" * SIZE})
    assert board.storage.read() == OLD


@pytest.mark.parametrize("name", LOCKS)
def test_both_families_of_tools_are_waited_for(tmp_path: Path, name: str) -> None:
    board = Board(tmp_path, (4, 3))
    lock = tmp_path / name
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        writer = threading.Thread(target=board.storage.write, args=(CHANGES,))
        writer.start()
        writer.join(0.2)
        assert writer.is_alive()
        assert board.storage.read() == OLD
    writer.join()
    assert board.storage.read() == NEW


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_that_nobody_gives_back_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(uboot_storage, "PATIENCE", 0.1)
    board = Board(tmp_path, (4, 3))
    before = board.device.read_bytes()
    lock = tmp_path / name
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StateNotStored, match=rf"{name}: locked by another program"):
            board.storage.write(CHANGES)
    assert board.device.read_bytes() == before


def test_two_copies_are_old_or_new_wherever_a_write_is_cut(tmp_path: Path) -> None:
    seen = set()
    for flags in ((4, 3), (3, 4), (255, 0), (0, 255)):
        for budget in range(SIZE + 1):
            board = Board(tmp_path, flags)
            try:
                with power_until(budget):
                    board.storage.write(CHANGES)
            except Cut:
                pass
            found = board.storage.read()
            assert found in (OLD, NEW)
            seen.add(found["zone"])
    assert seen == {"old", "new"}


def test_two_copies_are_old_or_new_whichever_sectors_reached_the_disk(tmp_path: Path) -> None:
    old = Board(tmp_path, (4, 3))
    before = old.device.read_bytes()
    old.storage.write(CHANGES)
    after = old.device.read_bytes()
    sectors = [
        at for at in range(0, len(after), 512) if after[at : at + 512] != before[at : at + 512]
    ]
    assert len(sectors) == SIZE // 512
    for reached in product((False, True), repeat=len(sectors)):
        content = bytearray(before)
        for at in compress(sectors, reached):
            content[at : at + 512] = after[at : at + 512]
        old.device.write_bytes(content)
        assert old.storage.read() == (NEW if all(reached) else OLD)


def test_one_copy_is_old_or_new_or_known_to_be_damaged(tmp_path: Path) -> None:
    for budget in range(SIZE + 1):
        board = Board(tmp_path, (None,))
        try:
            with power_until(budget):
                board.storage.write(CHANGES)
        except Cut:
            pass
        try:
            assert board.storage.read() in (OLD, NEW)
        except DamagedState:
            assert "checksum" in board.storage.damage()
