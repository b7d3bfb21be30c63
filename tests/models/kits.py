"""The kinds of devices that tests can be run on: a board, and what is built into it otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from flipside_qemu import emulator, workshop
from flipside_qemu.board import BOARDS, Board
from flipside_qemu.emulator import Emulator
from flipside_qemu.tree import Layer
from flipside_qemu.workbench import Workbench
from flipside_qemu.workshop import SHOWN, Workshop
from models import redundant_uboot


@dataclass(frozen=True, slots=True)
class Kit:
    """What a kind of device is made of."""

    board: Board
    files: Layer = field(default_factory=dict)
    """Laid into its images."""
    firmware: Callable[[Workbench], Path] | None = None
    """Makes its firmware, where that is not the one of the board."""

    def emulator(self, bench: Workbench) -> Emulator:
        """A QEMU with its firmware."""
        found = emulator.find(bench.cache, self.board.hardware)
        return replace(found, firmware=self.firmware(bench)) if self.firmware else found

    def workshop(self, bench: Workbench, more: Layer | None = None) -> Workshop:
        """Images, keys and bundles for it, with more files in the images if there are any."""
        files = {**SHOWN, **self.files, **(more or {})}
        return workshop.equip(bench, files=files, board=self.board)


KITS = {
    **{name: Kit(board) for name, board in BOARDS.items()},
    "qemu-arm64-redundant": Kit(
        redundant_uboot.BOARD, redundant_uboot.FILES, redundant_uboot.firmware
    ),
}
