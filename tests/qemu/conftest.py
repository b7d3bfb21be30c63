"""Real devices in QEMU: built once, each test with a disk of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from flipside_qemu import device, kvm, workbench
from flipside_qemu.board import QEMU_X86_64
from flipside_qemu.device import Device
from flipside_qemu.emulator import Emulator
from flipside_qemu.machine import Machine
from flipside_qemu.theatre import provision
from flipside_qemu.update_server import UpdateServer, free_port
from flipside_qemu.workbench import Workbench
from flipside_qemu.workshop import TARGET, Workshop
from models.flight import Flight
from models.hangar import Hangar
from models.kits import KITS, Kit

UUID = "f11b51de-0000-4000-8000-00000000d0d0"
NewDevice = Callable[..., Device]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of the tests that boot a device, leave those that are for the chosen kind of device.

    ``boards("qemu-x86_64", "qemu-arm64")`` marks what several kinds can do; without that mark a
    test is for the first one alone.
    """
    chosen = config.getoption("--flipside-board")
    unfit = [item for item in items if _boots_a_device(item) and chosen not in _boards_of(item)]
    config.hook.pytest_deselected(items=unfit)
    items[:] = [item for item in items if item not in unfit]


def _boots_a_device(item: pytest.Item) -> bool:
    return item.path.parent == Path(__file__).parent and any(
        item.get_closest_marker(name) for name in ("qemu", "slow")
    )


def _boards_of(item: pytest.Item) -> tuple[str, ...]:
    mark = item.get_closest_marker("boards")
    return mark.args if mark else (QEMU_X86_64.name,)


@pytest.fixture(scope="session")
def kit(pytestconfig: pytest.Config) -> Kit:
    """The kind of device, chosen with --flipside-board."""
    return KITS[pytestconfig.getoption("--flipside-board")]


@pytest.fixture(scope="session")
def bench() -> Workbench:
    """The builders' tools; fetched when they are not in the cache."""
    return workbench.equip(print)


@pytest.fixture(scope="session")
def qemu(bench: Workbench, kit: Kit) -> Emulator:
    """A QEMU that can be trusted."""
    return kit.emulator(bench)


@pytest.fixture(scope="session")
def shop(bench: Workbench, kit: Kit) -> Workshop:
    """Images, keys and bundles of the ordinary device."""
    return kit.workshop(bench)


@pytest.fixture
def new_device(
    shop: Workshop, qemu: Emulator, bench: Workbench, tmp_path: Path
) -> Iterator[NewDevice]:
    """Makes devices, off, that run version 1 from slot A; they vanish with the test."""
    with ExitStack() as devices:

        def make(given: dict[str, bytes] | None = None, shop: Workshop = shop) -> Device:
            disk = shop.disk("1", tmp_path / "disk", given or {})
            hardware = shop.board.hardware
            machine = Machine(disk.image, disk.variables, hardware, uuid=UUID, serial=TARGET)
            machine = kvm.accelerated(machine, qemu, bench.cache)
            return devices.enter_context(device.fresh(machine, qemu, tmp_path / "device"))

        yield make


@pytest.fixture
def server(tmp_path: Path) -> Iterator[UpdateServer]:
    """A running update server without targets."""
    running = UpdateServer(tmp_path / "server", free_port())
    running.start()
    yield running
    running.stop()


@pytest.fixture
def flight(shop: Workshop, server: UpdateServer, new_device: NewDevice) -> Flight:
    """A device that knows its server, booted."""
    unit = new_device(provision(server))
    unit.boot()
    return Flight(shop, server, unit)


@pytest.fixture(scope="module")
def preparation() -> Callable[[Flight], None]:
    """What ``ready_flight`` has behind it; a chapter may have a fixture of this name of its own."""
    return lambda _: None


@pytest.fixture(scope="module")
def _hangar(
    shop: Workshop,
    qemu: Emulator,
    bench: Workbench,
    tmp_path_factory: pytest.TempPathFactory,
    preparation: Callable[[Flight], None],
) -> Iterator[Hangar]:
    @contextmanager
    def built() -> Iterator[Flight]:
        place = tmp_path_factory.mktemp("hangar")
        server = UpdateServer(place / "server", free_port())
        server.start()
        disk = shop.disk("1", place / "disk", provision(server))
        hardware = shop.board.hardware
        machine = Machine(disk.image, disk.variables, hardware, uuid=UUID, serial=TARGET)
        machine = kvm.accelerated(machine, qemu, bench.cache)
        with device.fresh(machine, qemu, place / "device") as unit:
            yield Flight(shop, server, unit)
        server.stop()

    hangar = Hangar(built, preparation)
    yield hangar
    hangar.close()


@pytest.fixture
def ready_flight(request: pytest.FixtureRequest, _hangar: Hangar) -> Flight:
    """A device that runs version 1 from slot A, is confirmed and knows its server."""
    return _hangar.ready(request.session.testsfailed)
