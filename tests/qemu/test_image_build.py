"""Whole images, made with the real tools."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from flipside_qemu import disk, guest, image, rootfs, workbench
from flipside_qemu.cache import Cache
from flipside_qemu.image import Image
from flipside_qemu.workbench import Workbench

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]

KEYRING = b"-----BEGIN CERTIFICATE-----\n"


@pytest.fixture(scope="module")
def bench() -> Workbench:
    """The tools, from this machine's cache."""
    return workbench.equip(print)


@pytest.fixture(scope="module")
def debian(bench: Workbench) -> rootfs.RootFs:
    """The root file system, from this machine's cache."""
    return rootfs.build(bench.cache)


def _elsewhere(bench: Workbench, directory: Path) -> Workbench:
    """The same tools, with an empty cache for what they make."""
    return Workbench(Cache(directory, print), bench.toolbox)


def _digest(path: Path | None) -> str:
    assert path is not None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cut_out(made: disk.Disk, name: str, target: Path) -> Path:
    """One partition of a disk."""
    (part,) = (part for part in disk.PARTITIONS if part.name == name)
    with made.image.open("rb") as source:
        source.seek(disk.offset_of(name))
        target.write_bytes(source.read(part.size))
    return target


def test_image_and_disk_are_the_same_every_time(
    bench: Workbench, debian: rootfs.RootFs, tmp_path: Path
) -> None:
    digests = []
    for name in ("one", "two"):
        here = _elsewhere(bench, tmp_path / name)
        slot = image.build(here, debian, Image("1", KEYRING))
        made = disk.build(here, slot, tmp_path / f"{name}-device", provision={"flipside/x": b"y"})
        digests.append((_digest(slot), _digest(made.image), _digest(made.variables)))
    assert digests[0] == digests[1]


@pytest.fixture
def device(bench: Workbench, debian: rootfs.RootFs, tmp_path: Path) -> disk.Disk:
    """A new device's disk."""
    slot = image.build(bench, debian, Image("1", KEYRING))
    return disk.build(bench, slot, tmp_path, provision={"flipside/device.toml": b"x = 1\n"})


def test_file_systems_are_sound(bench: Workbench, device: disk.Disk, tmp_path: Path) -> None:
    bench.toolbox.run("sfdisk", "--verify", device.image)
    for name in ("root-a", "data"):
        bench.toolbox.run("e2fsck", "-f", "-n", _cut_out(device, name, tmp_path / name))
    bench.toolbox.run("fsck.fat", "-n", _cut_out(device, "esp", tmp_path / "esp"))


def test_torn_superblock_of_the_data_partition_is_mended(
    bench: Workbench, device: disk.Disk, tmp_path: Path
) -> None:
    data = _cut_out(device, "data", tmp_path / "data")
    with data.open("r+b") as file:
        file.seek(1024 + 512)
        file.write(b"torn" * 128)
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin/e2fsck"
    wrapper.write_text(f'#!/bin/sh\nexec {" ".join(bench.toolbox.argv("e2fsck"))} "$@"\n')
    wrapper.chmod(0o755)
    path = f"{wrapper.parent}:{os.environ['PATH']}"
    check = guest.IMAGES / "rootfs/usr/lib/flipside/check-data"
    subprocess.run(["sh", str(check), str(data)], env={"PATH": path}, check=True, timeout=120)
    listing = bench.toolbox.run("debugfs", "-R", "ls -l /flipside", data).decode()
    assert "100600 (1)    900    900       6" in listing
