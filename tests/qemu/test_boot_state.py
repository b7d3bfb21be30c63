"""The boot state is damaged in every way, the other slot half written: the good slot comes up.

The good slot is B here, so that nothing comes right by chance: a boot loader that knows nothing
takes A. The state is whole again after one boot, and the server has heard what was wrong with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from flipside_qemu import damage
from flipside_qemu.device import Device
from flipside_qemu.filesystem import MIB
from models.belief import believes
from models.flight import Flight

pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400)]

DIRECTORY = "/efi/flipside"
BOOT_ENV = f"{DIRECTORY}/boot.env"
"""What the boot loader counts in."""
COMMIT_ENV = f"{DIRECTORY}/commit.env"
"""What it falls back on."""
EMPTIED = ": > {}"
FILLED_WITH_RUBBISH = "head -c 1024 /dev/urandom > {}"
GONE = "rm {}"
ALL_AFTER_THE_FIRST_SECTOR_LOST = "truncate -s 512 {}"
FIRST_SECTOR_TORN = "dd if=/dev/urandom of={} bs=512 count=1 conv=notrunc"
SECOND_SECTOR_TORN = "dd if=/dev/urandom of={} bs=512 count=1 seek=1 conv=notrunc"
"""Both files are two sectors long, and all that they say is in the first."""


@pytest.fixture(scope="module")
def preparation() -> Callable[[Flight], None]:
    """A confirmed system in slot B, and the one before it in slot A."""

    def prepare(flight: Flight) -> None:
        flight.good_update()
        assert flight.device.booted_slot() == "B"

    return prepare


@pytest.mark.parametrize("file", [BOOT_ENV, COMMIT_ENV], ids=["boot.env", "commit.env"])
@pytest.mark.parametrize(
    "how",
    [
        pytest.param(EMPTIED, id="emptied"),
        pytest.param(FILLED_WITH_RUBBISH, id="rubbish"),
        pytest.param(GONE, id="gone"),
        pytest.param(ALL_AFTER_THE_FIRST_SECTOR_LOST, id="cut-short"),
        pytest.param(FIRST_SECTOR_TORN, id="first-sector-torn"),
    ],
)
def test_a_damaged_file_leads_to_the_good_slot_and_is_mended(
    ready_flight: Flight, file: str, how: str
) -> None:
    device = ready_flight.device
    version = ready_flight.version()
    half_written(device, "root-a")
    spoil(device, how.format(file))
    assert boots(device) == ["B"]
    assert ready_flight.version() == version
    assert_whole(device)
    believes(ready_flight.server, slot="B", trouble=f".*{re.escape(file)}.*")
    ready_flight.good_update()


@pytest.mark.parametrize("file", [BOOT_ENV, COMMIT_ENV], ids=["boot.env", "commit.env"])
def test_the_second_sector_means_nothing_and_is_mended_in_silence(
    ready_flight: Flight, file: str
) -> None:
    half_written(ready_flight.device, "root-a")
    spoil(ready_flight.device, SECOND_SECTOR_TORN.format(file))
    assert boots(ready_flight.device) == ["B"]
    assert_whole(ready_flight.device)
    believes(ready_flight.server, slot="B", trouble="")
    ready_flight.good_update()


def test_without_both_files_one_of_two_whole_slots_comes_up(ready_flight: Flight) -> None:
    device = ready_flight.device
    spoil(device, f"{EMPTIED.format(BOOT_ENV)}; {GONE.format(COMMIT_ENV)}")
    assert boots(device) == ["A"]
    assert_whole(device)
    believes(ready_flight.server, slot="A", version="1", trouble=f".*{BOOT_ENV}.*{COMMIT_ENV}.*")
    ready_flight.good_update()
    assert device.booted_slot() == "B"


def half_written(device: Device, partition: str) -> None:
    """Leave a slot as an installation that was cut off does: it begins well."""
    damage.overwrite(device, partition, start=64 * MIB, length=64 * MIB)


def spoil(device: Device, command: str) -> None:
    """Damage the boot state, have it reach the disk, and cut the power."""
    # Linux flushes FAT's file system for the second command only: the first one writes it, and may
    # leave it in the disk's cache.
    device.shell.check(f"{command}; sync; sync {DIRECTORY}")
    device.power_cut()


def boots(device: Device) -> list[str]:
    """Switch it on; the slots that the boot loader starts until the device has come up."""
    device.boot()
    return re.findall(r"^flipside: slot (\w)", device.shell.tail(10_000), re.MULTILINE)


def assert_whole(device: Device) -> None:
    """The running slot is confirmed, and both files are as they were made."""
    device.shell.check("until [ -e /run/flipside/confirmed ]; do sleep 1; done", within=120)
    state = json.loads(device.shell.check("flipside-bootctl status --json"))
    assert state["damage"] == ""
    assert state["next"] == state["current"] == device.booted_slot()
    assert state["slots"][state["current"]]["confirmed"]
    for file in (BOOT_ENV, COMMIT_ENV):
        assert device.shell.check(f"stat -c %s {file}") == "1024"
        assert device.shell.check(f"tail -c 512 {file}") == "#" * 512
