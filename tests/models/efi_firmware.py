"""UEFI firmware with its variables and its boot manager, as Linux shows them, and a power switch.

The variables are files of a directory. Linux's own file system for them replaces the whole value
with each write, whatever it was before; a directory does not, so that writes are played through
here. The firmware stores a variable whole or not at all (UEFI specification, "SetVariable").
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from flipside_bootctl import efi_load_option, efi_order
from flipside_bootctl.efi_load_option import ACTIVE, END, LoadOption
from flipside_bootctl.efivars import GLOBAL, PLACE

STORED = b"\7\0\0\0"


class Cut(Exception):
    """The power is gone."""


class Firmware:
    """One machine's firmware."""

    def __init__(self, root: Path) -> None:
        self.place = root / PLACE
        self.place.mkdir(parents=True)

    def set(self, name: str, value: bytes) -> None:
        self.file(name).write_bytes(STORED + value)

    def get(self, name: str) -> bytes | None:
        return self.file(name).read_bytes()[4:] if self.file(name).exists() else None

    def file(self, name: str) -> Path:
        return self.place / f"{name}-{GLOBAL}"

    def enter(self, number: int, label: str, attributes: int = ACTIVE) -> None:
        """Provision an entry that starts a program of this name."""
        disk = efi_load_option.partition(1, 2048, 8192, bytes(range(16)))
        path = (disk, efi_load_option.file(f"\\EFI\\{label}.EFI"), END)
        option = LoadOption(attributes, label, path)
        self.set(f"Boot{number:04X}", efi_load_option.encode(option))

    def order(self, *numbers: int) -> None:
        self.set("BootOrder", efi_order.words(numbers))

    def boot(self) -> str:
        """Switch the machine on; what is started, empty if nothing is.

        UEFI specification, "Boot Manager": BootNext is gone before its entry is started, and
        entries that are not active are passed over.
        """
        tried = [*self._numbers("BootNext"), *self._numbers("BootOrder")]
        self.file("BootNext").unlink(missing_ok=True)
        for number in tried:
            block = self.get(f"Boot{number:04X}")
            if block and (option := efi_load_option.decode(block)).active():
                self.set("BootCurrent", efi_order.words([number]))
                return option.description
        return ""

    def _numbers(self, name: str) -> tuple[int, ...]:
        """What a variable names; one with half an entry is as good as none."""
        value = self.get(name) or b""
        return () if len(value) % 2 else efi_order.numbers(value, name)

    @contextmanager
    def power_until(self, changes: int = 1000) -> Iterator[None]:
        """Let so many changes of variables happen."""
        left, write, unlink = [changes], os.write, os.unlink

        def change() -> None:
            if not left[0]:
                raise Cut
            left[0] -= 1

        def written(descriptor: int, data: bytes) -> int:
            change()
            os.ftruncate(descriptor, 0)
            return write(descriptor, data)

        def unlinked(path: str) -> None:
            change()
            unlink(path)

        with patch("os.write", written), patch("os.unlink", unlinked):
            yield
