"""What tells one kind of device from another."""

from __future__ import annotations

import pytest

from flipside_bootctl import entry_text
from flipside_qemu import guest
from flipside_qemu.board import BOARDS, QEMU_ARM64, QEMU_SYSTEMD_BOOT, QEMU_X86_64, Board
from flipside_qemu.image import arguments
from flipside_qemu.tree import File


def said(board: Board, *words: str) -> dict[str, str]:
    layer = board.told(*words)
    return {name: file.content.decode() for name, file in layer.items() if isinstance(file, File)}


def test_each_boot_loader_is_told_the_kernel_arguments_in_its_own_way() -> None:
    assert said(QEMU_X86_64, "a=1", "b") == {"boot/arguments.cfg": 'set arguments="a=1 b"\n'}
    assert said(QEMU_ARM64, "a=1", "b") == {"boot/arguments.txt": "arguments=a=1 b\n"}


def test_a_slots_entry_for_systemd_boot_is_one_that_boot_control_takes() -> None:
    (template,) = said(QEMU_SYSTEMD_BOOT, *arguments(QEMU_SYSTEMD_BOOT)).values()
    text = entry_text.rendered(template, "B")
    assert entry_text.files(text) == ["vmlinuz", "initrd.img"]
    assert "root=PARTLABEL=root-b ro rauc.slot=B " in text
    assert " flipside.loader=silent console=ttyS0" in text


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_a_board_has_its_system_conf_and_bundles_of_its_own(board: Board) -> None:
    config = guest.text(guest.REPOSITORY / "hal/rauc" / board.name / "system.conf")
    assert f"\ncompatible={board.compatible}\n" in config


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_what_every_boot_needs_is_loaded_first(board: Board) -> None:
    early, every = board.early_modules(), board.modules()
    assert every[: len(early)] == early
    assert set(board.drivers) < set(early)
    assert len(set(every)) == len(every)
