"""A server without a network, a device, and an action of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.ddi_device import Device, House

MEMORY = Path("/dev/shm")
"""Where flushes cost nothing; what survives a cut is tested elsewhere."""


@pytest.fixture
def house() -> Iterator[House]:
    """An empty server."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        made = House(Path(folder))
        yield made
        made.store.close()


@pytest.fixture
def device(house: House) -> Device:
    """A device that the server knows."""
    return house.device("pi-1")


@pytest.fixture
def action(house: House, device: Device) -> int:
    """The id of an action that the device has yet to see."""
    return house.assign(device.name, house.release("1.0"))
