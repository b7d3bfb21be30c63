"""A device with the real U-Boot, whose environment others write as well: U-Boot, ``fw_setenv``.

It has the stock build with the boot state in a file, or one with two copies of its environment.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from flipside_qemu.device import Device
from flipside_qemu.workbench import Workbench
from flipside_qemu.workshop import Workshop
from models import debian_tools, redundant_uboot
from models.kits import Kit

STOCK, REDUNDANT = "qemu-arm64", "qemu-arm64-redundant"
pytestmark = [
    pytest.mark.boards(STOCK, REDUNDANT),
    pytest.mark.slow,
    pytest.mark.timeout(2400),
]
ROUNDS = 8
AT_ONCE = f"""\
for n in $(seq {ROUNDS}); do fw_setenv count_$n $n || echo fw_setenv failed; done &
for n in $(seq {ROUNDS}); do
    flipside-bootctl set-primary B && flipside-bootctl set-state B bad || echo bootctl failed
done
wait
"""
ALTERNATIVE = (
    "echo flipside: too many boots; setenv upgrade_available 0; setenv bootcount 0; saveenv;"
    " bootflow scan -lb"
)


@pytest.fixture(scope="module")
def shop(bench: Workbench, kit: Kit) -> Workshop:
    """Images with the tools that everybody has."""
    return kit.workshop(bench, debian_tools.libubootenv(bench.cache))


@pytest.fixture
def device(new_device: Callable[..., Device]) -> Device:
    unit = new_device()
    unit.boot()
    return unit


def test_fw_setenv_and_flipside_bootctl_read_and_keep_what_the_other_one_wrote(
    device: Device, kit: Kit
) -> None:
    shell = device.shell
    assert variable(device, "BOOT_ORDER") == "A B"
    shell.check("fw_setenv greeting 'hello world'")
    shell.check("flipside-bootctl set-primary B")
    names = ("BOOT_ORDER", "BOOT_B_LEFT", "BOOT_B_CONFIRMED", "greeting")
    assert [variable(device, name) for name in names] == ["B A", "3", "0", "hello world"]

    shell.put("/run/script", "BOOT_ORDER=A B\nBOOT_B_LEFT=2\n")
    shell.check("fw_setenv -s /run/script")
    state = status(device)
    assert (state["next"], state["damage"]) == ("A", "")
    assert state["slots"]["B"] == {"left": 2, "confirmed": False}

    # U-Boot itself acts upon it: slot B is empty, so slot A comes up with one attempt fewer for B.
    shell.check("fw_setenv BOOT_ORDER 'B A'")
    device.reset()
    shell.wait_for(r"^flipside: slot B flipside\.trial=1", within=120)
    shell.wait_for(r"^flipside: slot A", within=120)
    device.boot()
    assert status(device)["slots"]["B"]["left"] == 1
    # The boot script's file holds the boot state and nothing else; U-Boot's own environment, all.
    # libubootenv's fw_printenv says that a variable is missing, and ends with 0 all the same.
    kept = "hello world" in shell.run("fw_printenv greeting").output
    assert kept == (kit.board is redundant_uboot.BOARD)


def test_both_may_write_at_the_same_time(device: Device) -> None:
    device.shell.put("/run/at-once", AT_ONCE)
    assert device.shell.check("sh /run/at-once", within=300) == ""
    counted = [variable(device, f"count_{number}") for number in range(1, ROUNDS + 1)]
    assert counted == [str(number) for number in range(1, ROUNDS + 1)]
    state = status(device)
    assert (state["next"], state["damage"]) == ("A", "")
    assert state["slots"]["B"] == {"left": 0, "confirmed": False}


@pytest.mark.boards(REDUNDANT)
def test_uboots_own_counter_goes_on_beside_ours(device: Device) -> None:
    shell = device.shell
    lines = f"bootlimit=2\nupgrade_available=1\nbootcount=0\naltbootcmd={ALTERNATIVE}\n"
    shell.put("/run/script", lines)
    shell.check("fw_setenv -s /run/script")
    for _ in range(2):
        device.reset()
        shell.wait_for(r"^flipside: slot A", within=120)
    device.reset()
    shell.wait_for(r"^flipside: too many boots", within=120)
    device.boot()
    assert [variable(device, name) for name in ("bootcount", "upgrade_available")] == ["0", "0"]
    assert status(device)["slots"]["A"]["confirmed"]


@pytest.mark.boards(REDUNDANT)
@pytest.mark.parametrize("copy", redundant_uboot.COPIES)
def test_with_one_of_two_copies_torn_the_other_one_counts(device: Device, copy: str) -> None:
    shell = device.shell
    shell.check("flipside-bootctl set-state A good")
    shell.check(f"dd if=/dev/urandom of=/efi/{copy} bs=512 count=1 conv=notrunc; sync; sync /efi")
    device.power_cut()
    device.boot()
    state = status(device)
    assert (state["current"], state["next"]) == ("A", "A")
    assert state["slots"]["A"]["confirmed"]
    assert state["slots"]["B"] == {"left": 0, "confirmed": False}


def variable(device: Device, name: str) -> str:
    """What ``fw_printenv`` says of a variable."""
    return device.shell.check(f"fw_printenv -n {name}")


def status(device: Device) -> dict[str, Any]:
    """What ``flipside-bootctl`` says of all of it."""
    found: dict[str, Any] = json.loads(device.shell.check("flipside-bootctl status --json"))
    return found
