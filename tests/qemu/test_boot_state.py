"""The boot state is damaged in every way, the other slot half written: the good slot comes up.

The good slot is B here, so that nothing comes right by chance: a boot loader that knows nothing
takes A. The state is whole again after one boot, and the server has heard what was wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePosixPath

import pytest

from flipside_qemu import damage
from flipside_qemu.device import Device
from flipside_qemu.filesystem import MIB
from models.belief import believes
from models.boot_files import BOOT_FILES, BootFiles
from models.flight import Flight
from models.kits import KITS

GRUB, UBOOT = "qemu-x86_64", "qemu-arm64"
TWOFOLD = [kind for kind, files in BOOT_FILES.items() if files.fallback]
"""Devices that have something to fall back on."""
pytestmark = [pytest.mark.boards(*KITS), pytest.mark.slow, pytest.mark.timeout(5400)]

EMPTIED = ": > {}"
FILLED_WITH_RUBBISH = "head -c 1024 /dev/urandom > {}"
GONE = "rm {}"
ALL_AFTER_THE_FIRST_SECTOR_LOST = "truncate -s 512 {}"
FIRST_SECTOR_TORN = "dd if=/dev/urandom of={} bs=512 count=1 conv=notrunc"
SECOND_SECTOR_TORN = "dd if=/dev/urandom of={} bs=512 count=1 seek=1 conv=notrunc"
in_every_way = pytest.mark.parametrize(
    "how",
    [
        pytest.param(EMPTIED, id="emptied"),
        pytest.param(FILLED_WITH_RUBBISH, id="rubbish"),
        pytest.param(GONE, id="gone"),
        pytest.param(ALL_AFTER_THE_FIRST_SECTOR_LOST, id="cut-short"),
        pytest.param(FIRST_SECTOR_TORN, id="first-sector-torn"),
    ],
)
each_file = pytest.mark.parametrize("file", ["counting", "fallback"])


@pytest.fixture
def files(request: pytest.FixtureRequest) -> BootFiles:
    """Where this kind of device keeps its boot state."""
    return BOOT_FILES[request.config.getoption("--flipside-board")]


@pytest.fixture(scope="module")
def preparation() -> Callable[[Flight], None]:
    """A confirmed system in slot B, and the one before it in slot A."""

    def prepare(flight: Flight) -> None:
        flight.good_update()
        assert flight.device.booted_slot() == "B"

    return prepare


@pytest.mark.boards(*TWOFOLD)
@each_file
@in_every_way
def test_a_damaged_file_leads_to_the_good_slot_and_is_mended(
    ready_flight: Flight, files: BootFiles, file: str, how: str
) -> None:
    device = ready_flight.device
    version = ready_flight.version()
    half_written(device, "A")
    names = spoil(device, (how, getattr(files, file)))
    assert boots(device) == ["B"]
    assert ready_flight.version() == version
    assert_whole(ready_flight, files)
    believes(ready_flight.server, slot="B", trouble=trouble(files, names))
    ready_flight.good_update()


@pytest.mark.boards(GRUB)
@each_file
def test_the_second_sector_of_an_environment_means_nothing_and_is_mended_in_silence(
    ready_flight: Flight, files: BootFiles, file: str
) -> None:
    """All that it says is in the first."""
    half_written(ready_flight.device, "A")
    spoil(ready_flight.device, (SECOND_SECTOR_TORN, getattr(files, file)))
    assert boots(ready_flight.device) == ["B"]
    assert_whole(ready_flight, files)
    believes(ready_flight.server, slot="B", trouble="")
    ready_flight.good_update()


@pytest.mark.boards(*TWOFOLD)
def test_without_both_files_one_of_two_whole_slots_comes_up(
    ready_flight: Flight, files: BootFiles
) -> None:
    names = spoil(ready_flight.device, (EMPTIED, files.counting), (GONE, files.fallback))
    assert_the_first_slot_is_as_good(ready_flight, files, names)


@pytest.mark.boards(UBOOT)
@in_every_way
def test_without_the_only_copy_one_of_two_whole_slots_comes_up(
    ready_flight: Flight, files: BootFiles, how: str
) -> None:
    names = spoil(ready_flight.device, (how, files.counting))
    assert_the_first_slot_is_as_good(ready_flight, files, names)


def assert_the_first_slot_is_as_good(flight: Flight, files: BootFiles, names: list[str]) -> None:
    """It comes up at once, the state is mended, and an update goes to the other slot."""
    assert boots(flight.device) == ["A"]
    assert_whole(flight, files)
    believes(flight.server, slot="A", version="1", trouble=trouble(files, names))
    flight.good_update()
    assert flight.device.booted_slot() == "B"


def half_written(device: Device, slot: str) -> None:
    """Leave a slot as an installation that was cut off does: declared bad, and it begins well."""
    device.shell.check(f"flipside-bootctl set-state {slot} bad")
    damage.overwrite(device, f"root-{slot.lower()}", start=64 * MIB, length=64 * MIB)


def spoil(device: Device, *damages: tuple[str, str]) -> list[str]:
    """Damage files, each given as how and which, and cut the power behind it; their names."""
    names = [device.shell.check(f"ls {pattern}").strip() for _, pattern in damages]
    for (how, _), name in zip(damages, names, strict=True):
        # Linux flushes FAT's file system for the second command only: the first one writes it, and
        # may leave it in the disk's cache.
        device.shell.check(f"{how.format(name)}; sync; sync {name.rpartition('/')[0]}")
    device.power_cut()
    return names


def boots(device: Device) -> list[str]:
    """Switch it on; the slots that are started until the device has come up."""
    device.boot()
    return re.findall(r"^flipside: slot (\w)", device.shell.tail(10_000), re.MULTILINE)


def assert_whole(flight: Flight, files: BootFiles) -> None:
    """The running slot is confirmed, and all files are as they were made."""
    shell = flight.device.shell
    shell.check("until [ -e /run/flipside/confirmed ]; do sleep 1; done", within=120)
    state = flight.boot_state()
    assert state["damage"] == ""
    assert state["next"] == state["current"] == flight.device.booted_slot()
    assert state["slots"][state["current"]]["confirmed"]
    shell.check(files.as_made)


def trouble(files: BootFiles, names: list[str]) -> str:
    """What the server hears of damage to these files, as a regular expression."""
    if not files.told:
        return ""
    each = (
        files.told.format(path=re.escape(name), name=re.escape(PurePosixPath(name).name))
        for name in names
    )
    return ".*".join(["", *each, ""])
