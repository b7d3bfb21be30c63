"""What is read from a disk: a whole one, and ones that are damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flipside_bootctl import grubenv
from flipside_qemu import fat, sparse
from flipside_qemu.aftermath import IDENTITY, Content, Remains
from flipside_qemu.counted_grub import STATES, CountedGrub
from flipside_qemu.fingerprint import Fingerprints
from flipside_qemu.remains import STRETCHES, Reader
from flipside_qemu.workshop import Workshop

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]

SECTOR = 512
TORN = 1024 + SECTOR
"""Byte in the middle of an ext4 superblock, which begins at 1024 and has two sectors."""
Damage = Callable[[str, int, bytes], Remains]


@pytest.fixture(scope="module")
def new_disk(shop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The disk of a device that was never switched on."""
    place = tmp_path_factory.mktemp("disk")
    return shop.disk("1", place, {IDENTITY: b"unit-1"}).image


@pytest.fixture
def after(new_disk: Path, shop: Workshop, tmp_path: Path) -> Damage:
    """Reads what is on that disk after some bytes of a partition were overwritten."""
    image = tmp_path / "disk.raw"
    sparse.copy(new_disk, image)
    prints = Fingerprints(STRETCHES, SECTOR)

    def read(name: str, place: int, content: bytes) -> Remains:
        start = STRETCHES[name].start + place
        with image.open("r+b") as file:
            file.seek(start)
            before = file.read(len(content))
            file.seek(start)
            file.write(content)
        prints.change(start, before, content)
        return Reader(shop.bench.toolbox, shipped=1).read(image, prints)

    return read


def test_a_whole_disk(after: Damage) -> None:
    found = after("data", 0, b"")
    assert {"efi/boot/bootx64.efi", "flipside/grub.cfg"} < set(found.boot)
    assert CountedGrub().attempts(found.boot)[0] == ("A", False)
    assert found.slots == {"A": Content.OLD, "B": Content.OLD}
    assert found.data == {IDENTITY: b"unit-1"}


def test_a_boot_partition_that_nobody_can_read_is_empty(after: Damage) -> None:
    assert after("esp", 0, bytes(SECTOR)).boot == {}


def test_a_file_of_one_cluster_is_read_without_the_allocation_table_as_grub_does(
    after: Damage, new_disk: Path
) -> None:
    content = new_disk.read_bytes()[STRETCHES["esp"].start : STRETCHES["esp"].end]
    system = fat.opened(lambda place, length: content[place : place + length])
    found = after("esp", system.table, bytes(system.root - system.table)).boot
    assert grubenv.decode(found[STATES])["primary"] == "A"
    assert "efi/boot/bootx64.efi" not in found


def test_a_torn_superblock_is_mended_as_the_device_mends_it(after: Damage) -> None:
    assert after("data", TORN, b"\xff" * SECTOR).data == {IDENTITY: b"unit-1"}


def test_a_data_partition_that_is_gone_is_none(after: Damage) -> None:
    assert after("data", 0, bytes(STRETCHES["data"].end - STRETCHES["data"].start)).data is None


def test_a_slot_that_was_touched_is_half_written(after: Damage) -> None:
    assert after("root-b", 4096, b"x" * SECTOR).slots["B"] is Content.HALF
    assert after("root-b", 4096, bytes(SECTOR)).slots["B"] is Content.OLD
