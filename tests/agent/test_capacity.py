"""How large a disk is, read from a model of sysfs."""

from __future__ import annotations

from pathlib import Path

import pytest

from flipside_agent.capacity import capacity_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A system with a disk of two partitions."""
    for name, lines, sectors in (
        ("vda", "DEVNAME=vda\nDEVTYPE=disk", 1000),
        ("vda2", "DEVNAME=vda2\nPARTN=2\nPARTNAME=root-a\nPARTUUID=f11b51de-02", 300),
        ("vda3", "DEVNAME=vda3\nPARTN=3\nPARTNAME=root-b\nPARTUUID=f11b51de-03", 400),
    ):
        place = tmp_path / "sys/class/block" / name
        place.mkdir(parents=True)
        (place / "uevent").write_text(f"MAJOR=254\n{lines}\n")
        (place / "size").write_text(f"{sectors}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("device", "sectors"),
    [
        ("/dev/vda", 1000),
        ("/dev/vda2", 300),
        ("/dev/disk/by-partlabel/root-b", 400),
        ("/dev/disk/by-partuuid/f11b51de-02", 300),
    ],
)
def test_a_disk_is_found_by_each_of_its_names(root: Path, device: str, sectors: int) -> None:
    assert capacity_of(device, root) == sectors * 512


@pytest.mark.parametrize(
    "device",
    [
        "",
        "/dev/vdb",
        "/dev/disk/by-partlabel/root",
        "/dev/disk/by-label/root-a",
        "/dev/mapper/root",
        "/srv/images/root-a",
        "/dev/disk/by-partlabel/a\\x20b",
    ],
)
def test_what_is_not_found_is_left_to_rauc(root: Path, device: str) -> None:
    assert capacity_of(device, root) is None


def test_a_name_that_two_disks_have_says_nothing(root: Path) -> None:
    (root / "sys/class/block/vda2/uevent").write_text("DEVNAME=vda2\nPARTNAME=root-b\n")
    assert capacity_of("/dev/disk/by-partlabel/root-b", root) is None


def test_a_disk_that_was_pulled_out_meanwhile_says_nothing(root: Path) -> None:
    (root / "sys/class/block/vda3/size").unlink()
    assert capacity_of("/dev/vda3", root) is None
