"""Every parser of boot control, with what must hold of whatever it is given.

Each is a function of bytes that returns where the parser refused them in a sentence or understood
them, and raises anything else: for the corpus of damage, and for the fuzzer.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from flipside_bootctl import (
    boot_order,
    bootcount_file,
    counted,
    efi_load_option,
    efi_order,
    fw_env_config,
    grubenv,
    rauc_config,
    uboot_env,
)
from flipside_bootctl.bootcount import Bootcount
from flipside_bootctl.efi_load_option import ACTIVE, END, LoadOption
from flipside_bootctl.efi_order import BootManager
from flipside_bootctl.errors import BootControlError, NothingBootable, StateNotStored
from flipside_bootctl.grub_stock import GrubStock
from flipside_bootctl.state import BootState, Slot
from flipside_bootctl.uboot_env import Copy

Read = Callable[[Mapping[str, str]], BootState]


class Parser(NamedTuple):
    """What is tried, and something good to damage."""

    attempt: Callable[[bytes], None]
    sample: bytes


def _grubenv(block: bytes) -> None:
    _again(grubenv.decode(block))


def _grubenv_text(text: bytes) -> None:
    """The same, with the size and the signature that are hard to guess."""
    block = (grubenv.SIGNATURE + text).ljust(grubenv.SIZE, b"#")[: grubenv.SIZE]
    variables = grubenv.decode(block)
    _again(variables)
    for read in (counted.from_variables, GrubStock(("A", "B")).from_variables):
        _state(read, variables)


def _again(variables: dict[str, str]) -> None:
    try:
        block = grubenv.encode(variables, room=grubenv.SIZE)
    except ValueError:
        return  # escaped anew, rubbish may take more room than it had
    assert grubenv.decode(block) == variables


def _uboot_env(block: bytes) -> None:
    for redundant in (False, True):
        try:
            copy = uboot_env.decode(block, redundant=redundant)
        except BootControlError:
            continue
        _same(copy, len(block) + 8, redundant)


def _uboot_env_text(data: bytes) -> None:
    """The same, with a checksum that is right."""
    block = zlib.crc32(data).to_bytes(4, "little") + data
    copy = uboot_env.decode(block, redundant=False)
    _same(copy, len(block) + 8, redundant=False)
    for read in (boot_order.from_variables, Bootcount(3).from_variables):
        _state(read, copy.variables)


def _same(copy: Copy, size: int, redundant: bool) -> None:
    """The variables come back; what is not ended in rubbish needs the room of its ends."""
    block = uboot_env.encode(copy, size)
    assert uboot_env.decode(block, redundant=redundant).variables == copy.variables


def _state(read: Read, variables: Mapping[str, str]) -> None:
    """Whatever is next may be booted."""
    try:
        state = read(variables)
        assert state.slot(state.next_slot()).left > 0
    except (BootControlError, NothingBootable):
        return


def _bootcount_file(block: bytes) -> None:
    found = bootcount_file.decode(block)
    assert bootcount_file.decode(bootcount_file.encode(found)) == found


def _fw_env_config(text: bytes) -> None:
    for area in fw_env_config.parse(text.decode("utf-8", "replace"), "fw_env.config"):
        assert area.size >= 16
        assert area.sector * area.sectors >= 1


def _load_option(block: bytes) -> None:
    assert efi_load_option.encode(efi_load_option.decode(block)) == block


def _boot_manager(data: bytes) -> None:
    """A byte for each of four entries, two for BootNext, the rest is BootOrder."""
    entries = {
        number: LoadOption(byte & 1, "ABC"[byte % 3], ()) for number, byte in enumerate(data[:4])
    }
    order = efi_order.numbers(data[6:], "BootOrder")
    manager = BootManager(order, efi_order.once(data[4:6]), entries)
    efi_order.complaints(manager, ("A", "B"))
    assert efi_order.words(order) == data[6:]
    name = efi_order.state(manager, ("A", "B")).next_slot()
    assert manager.numbers(name)


def _rauc_config(text: bytes) -> None:
    config = rauc_config.parse(text.decode("utf-8", "replace"))
    assert all(config.slot(name) for name in config.slots if config.slots[name])


_STATE = BootState("B", {"A": Slot(9, confirmed=True), "B": Slot(3, confirmed=False)})
_ENTRY = LoadOption(ACTIVE, "A", (efi_load_option.file("\\EFI\\A.EFI"), END), b"quiet")
_GRUB = grubenv.encode(counted.to_variables(_STATE))
_COPY = Copy(boot_order.to_variables(_STATE), 4)

PARSERS: Final[dict[str, Parser]] = {
    "grubenv": Parser(_grubenv, _GRUB),
    "grubenv-text": Parser(_grubenv_text, _GRUB[len(grubenv.SIGNATURE) : 200]),
    "uboot-env": Parser(_uboot_env, uboot_env.encode(_COPY, 256)),
    "uboot-env-text": Parser(_uboot_env_text, uboot_env.encode(_COPY, 256)[5:]),
    "bootcount-file": Parser(_bootcount_file, b"\xbd\1\2\1"),
    "fw-env-config": Parser(_fw_env_config, b"/dev/sda -0x4000 0x4000\n/dev/sda 0x8000 0x4000\n"),
    "load-option": Parser(_load_option, efi_load_option.encode(_ENTRY)),
    "boot-manager": Parser(_boot_manager, b"\0\1\2\3\2\0" + efi_order.words((1, 0))),
    "rauc-config": Parser(
        _rauc_config, b"[system]\nbootloader=grub\n[slot.rootfs.0]\nbootname=A\n"
    ),
}


def attempt(parser: Parser, data: bytes) -> None:
    """Give it this; a refusal in one sentence is fine."""
    try:
        parser.attempt(data)
    except StateNotStored:
        raise
    except BootControlError as error:
        if "\n" in str(error):
            raise AssertionError("a refusal is one sentence") from error
