"""Real devices in QEMU: built once, each test with a disk of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from flipside_qemu import device, emulator, workbench, workshop
from flipside_qemu.device import Device
from flipside_qemu.emulator import Emulator
from flipside_qemu.machine import Machine
from flipside_qemu.workbench import Workbench
from flipside_qemu.workshop import Workshop

UUID = "f11b51de-0000-4000-8000-00000000d0d0"
NewDevice = Callable[..., Device]


@pytest.fixture(scope="session")
def bench() -> Workbench:
    """The builders' tools; fetched when they are not in the cache."""
    return workbench.equip(print)


@pytest.fixture(scope="session")
def qemu(bench: Workbench) -> Emulator:
    """A QEMU that can be trusted."""
    return emulator.find(bench.cache)


@pytest.fixture(scope="session")
def shop(bench: Workbench) -> Workshop:
    """Images, keys and bundles of the ordinary device."""
    return workshop.equip(bench)


@pytest.fixture
def new_device(shop: Workshop, qemu: Emulator, tmp_path: Path) -> Iterator[NewDevice]:
    """Makes devices, off, that run version 1 from slot A; they vanish with the test."""
    with ExitStack() as devices:

        def make(provision: dict[str, bytes] | None = None, shop: Workshop = shop) -> Device:
            disk = shop.disk("1", tmp_path / "disk", provision or {})
            machine = Machine(disk.image, disk.variables, uuid=UUID, serial="unit-1")
            return devices.enter_context(device.fresh(machine, qemu, tmp_path / "device"))

        yield make
