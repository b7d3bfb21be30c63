"""The arm64 device's image, made on this machine without running anything of it."""

from __future__ import annotations

import tarfile

import pytest

from flipside_qemu import image, rootfs, tree
from flipside_qemu.board import QEMU_ARM64
from flipside_qemu.image import Image
from flipside_qemu.rootfs import RootFs
from flipside_qemu.workbench import Workbench

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

AARCH64 = 183
"""The processor in the header of a program (elf.h, EM_AARCH64)."""


@pytest.fixture
def debian(bench: Workbench) -> RootFs:
    return rootfs.build(bench.cache, board=QEMU_ARM64)


def test_all_machine_code_is_the_other_processors(debian: RootFs) -> None:
    machines = {}
    with tarfile.open(debian.archive) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            header = file.read(20) if file else b""
            if header.startswith(b"\x7fELF"):
                machines[tree.name_of(member)] = int.from_bytes(header[18:20], "little")
    assert len(machines) > 500
    assert {name for name, machine in machines.items() if machine != AARCH64} == set()


def test_everything_that_the_initramfs_loads_is_there(bench: Workbench, debian: RootFs) -> None:
    (directory,) = (debian.tree / "usr/lib/modules").iterdir()
    kept = {path.stem.replace("-", "_") for path in directory.rglob("*.ko")}
    assert kept >= set(QEMU_ARM64.early_modules())
    slot = image.build(bench, debian, Image("1", b""))
    bench.toolbox.run("e2fsck", "-f", "-n", slot)
