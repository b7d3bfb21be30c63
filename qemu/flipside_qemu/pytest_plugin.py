"""Fixtures for those who test their own image on a virtual device, with pytest.

```
pytest --flipside-disk build/disk.qcow2

def test_falls_back(flipside_device):
    flipside_device.boot()
    flipside_device.shell.check("rauc status mark-bad booted")
    flipside_device.reboot()
    assert flipside_device.booted_slot() == "B"
```

* ``flipside_device``: a device of its own for each test, off, with a disk that shows the image.
* ``flipside_ready``: a device that stands at a shell, booted once for all tests and put back to
  that moment for each of them; a second instead of a boot.
* ``flipside_machine``: what both are made of; define a fixture of that name to change it.

A test that fails shows the end of its device's console. Nothing heavy is imported before a
fixture is used, so that the plugin costs nothing where only other tests run.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flipside_qemu.board import Board
    from flipside_qemu.cache import Cache
    from flipside_qemu.device import Device
    from flipside_qemu.emulator import Emulator
    from flipside_qemu.machine import Machine

_READY = "ready"
_DEVICE = pytest.StashKey["Device"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, in a group of their own."""
    group = parser.getgroup("flipside", "virtual devices")
    group.addoption(
        "--flipside-disk", type=Path, metavar="FILE", help="image to test, raw or qcow2"
    )
    group.addoption(
        "--flipside-variables",
        type=Path,
        metavar="FILE",
        help="the firmware's variables (default: empty ones)",
    )
    group.addoption(
        "--flipside-board",
        default="qemu-x86_64",
        metavar="NAME",
        help="kind of device: qemu-x86_64 (default), qemu-arm64 or qemu-x86_64-systemd-boot",
    )
    group.addoption("--flipside-memory", type=int, default=512, metavar="MIB", help="default: 512")
    group.addoption(
        "--flipside-kvm", action="store_true", help="use KVM if a trial boot works with it"
    )
    group.addoption(
        "--flipside-patience",
        type=float,
        default=1.0,
        metavar="FACTOR",
        help="stretch all deadlines, for a slow or busy host",
    )


@dataclass(slots=True)
class Bench:
    """What devices are made with, and the one that is shared."""

    emulator: Emulator
    cache: Cache
    patience: float
    factory: pytest.TempPathFactory
    shared: tuple[Machine, Device] | None = None

    def device(self, machine: Machine) -> Device:
        """A new device, in a directory of its own."""
        from flipside_qemu import device

        directory = self.factory.mktemp("device")
        return device.fresh(machine, self.emulator, directory, patience=self.patience)

    def ready(self, machine: Machine) -> Device:
        """The shared device as it was after its boot; another one if a test has broken it."""
        if self.shared is not None:
            made_of, device = self.shared
            if made_of == machine and device.shell.failure is None:
                device.restore(_READY)
                return device
            self.release()
        device = self.device(machine)
        self.shared = (machine, device)
        device.boot()
        device.snapshot(_READY)
        return device

    def release(self) -> None:
        """Switch the shared device off."""
        if self.shared is not None:
            self.shared[1].power_cut()
            self.shared = None


@pytest.fixture(scope="session")
def flipside_board(pytestconfig: pytest.Config) -> Board:
    """The kind of device that the options name."""
    from flipside_qemu.board import BOARDS

    name: str = pytestconfig.getoption("--flipside-board")
    if name not in BOARDS:
        raise pytest.UsageError(f"--flipside-board {name}, expected one of {', '.join(BOARDS)}")
    return BOARDS[name]


@pytest.fixture(scope="session")
def flipside_bench(
    pytestconfig: pytest.Config,
    flipside_board: Board,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Bench]:
    """QEMU and its firmware: the host's if it is new enough, else fetched once."""
    from flipside_qemu import emulator
    from flipside_qemu.cache import Cache, default_directory

    cache = Cache(default_directory(), lambda _: None)
    patience: float = pytestconfig.getoption("--flipside-patience")
    bench = Bench(emulator.find(cache, flipside_board.hardware), cache, patience, tmp_path_factory)
    yield bench
    bench.release()


@pytest.fixture(scope="session")
def flipside_machine(
    pytestconfig: pytest.Config, flipside_board: Board, flipside_bench: Bench
) -> Machine:
    """The machine that the options describe."""
    from flipside_qemu import kvm
    from flipside_qemu.machine import Machine

    disk: Path | None = pytestconfig.getoption("--flipside-disk")
    if disk is None:
        pytest.skip("needs --flipside-disk, an image to test")
    machine = Machine(
        disk=disk,
        variables=pytestconfig.getoption("--flipside-variables")
        or flipside_bench.emulator.variables,
        hardware=flipside_board.hardware,
        memory=pytestconfig.getoption("--flipside-memory"),
    )
    if pytestconfig.getoption("--flipside-kvm"):
        return kvm.accelerated(machine, flipside_bench.emulator, flipside_bench.cache)
    return machine


@pytest.fixture
def flipside_device(
    request: pytest.FixtureRequest, flipside_machine: Machine, flipside_bench: Bench
) -> Iterator[Device]:
    """A device of this test alone, switched off."""
    with flipside_bench.device(flipside_machine) as device:
        request.node.stash[_DEVICE] = device
        yield device


@pytest.fixture
def flipside_ready(
    request: pytest.FixtureRequest, flipside_machine: Machine, flipside_bench: Bench
) -> Device:
    """A device at a shell, as it was after its first boot."""
    device = flipside_bench.ready(flipside_machine)
    request.node.stash[_DEVICE] = device
    return device


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the end of the console to the report of a test that failed."""
    report = yield
    device = item.stash.get(_DEVICE, None)
    if report.failed and device is not None:
        report.sections.append(("Console of the device", device.shell.tail()))
        if words := device.last_words():
            report.sections.append(("QEMU", words))
    return report
