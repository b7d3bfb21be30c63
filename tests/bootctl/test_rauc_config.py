from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flipside_bootctl import rauc_config
from flipside_bootctl.errors import NoScheme, UnknownSlot

TEXT = """\
# A machine
[system]
compatible = machine
bootloader=efi
efi-use-bootnext=false

[slot.rootfs.0]
device=/dev/sda2
bootname = A

[slot.appfs.0]
parent=rootfs.0

[slot.rootfs.1]
bootname=B
#bootname=C
"""


def test_what_a_file_says() -> None:
    config = rauc_config.parse(TEXT)
    assert (config.bootloader, config.bootnext) == ("efi", False)
    assert config.bootnames() == ("A", "B")
    assert config.slot("B") == "rootfs.1"
    assert config.marks()


def test_what_is_not_said_is_as_raucs_default() -> None:
    config = rauc_config.parse("[system]\nbootloader=grub\n")
    assert (config.grubenv, config.bootnext) == ("/boot/grub/grubenv", True)


@pytest.mark.parametrize("text", ["", "bootloader=grub", "[system]\nbootloader=noop"])
def test_a_rauc_that_drives_no_boot_loader(text: str) -> None:
    config = rauc_config.parse(text)
    assert not config.marks()
    with pytest.raises(NoScheme, match="no slot with a bootname"):
        config.bootnames()


def test_an_unknown_slot_is_named() -> None:
    with pytest.raises(
        UnknownSlot, match=r"'rootfs.0' is not a slot of RAUC's .*, expected A or B"
    ):
        rauc_config.parse(TEXT).slot("rootfs.0")


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    rauc_config.parse(f"[system]\n{text}\n[slot.x]\n{text}")
