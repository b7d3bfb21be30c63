"""Units and reboot over a real message bus, against a model of systemd and logind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from flipside_agent.bus import Bus
from flipside_agent.checks import RunEnd, UnitState
from flipside_agent.errors import DeviceError
from flipside_agent.inbox import PeerLost
from flipside_agent.systemd import Logind, Units
from models.message_bus import PrivateBus
from models.systemd_manager import ModelUnit, SystemdManager

CHECK = "flipside-check@required-x.service"


@pytest.fixture(name="wire")
def _wire(tmp_path: Path) -> Iterator[PrivateBus]:
    with PrivateBus(tmp_path) as wire:
        yield wire


def play(wire: PrivateBus, story: Callable[[SystemdManager, Bus], Awaitable[None]]) -> None:
    async def scene() -> None:
        manager, bus = SystemdManager(wire.address), Bus(wire.address)
        await manager.power_on()
        await story(manager, bus)
        await bus.close()

    asyncio.run(scene())


def test_states_of_units_that_are_there_and_that_are_not(wire: PrivateBus) -> None:
    async def story(manager: SystemdManager, bus: Bus) -> None:
        manager.units["rauc.service"] = ModelUnit("active", "running")
        units = Units(bus)
        assert await units.state("rauc.service") == UnitState("loaded", "active", "running")
        assert (await units.state("none.service")).load == "not-found"
        assert await units.system_state() == "running"

    play(wire, story)


def test_failed_units_are_named(wire: PrivateBus) -> None:
    async def story(manager: SystemdManager, bus: Bus) -> None:
        manager.units = {"a.service": ModelUnit("failed"), "b.service": ModelUnit("active")}
        assert await Units(bus).failed() == ("a.service",)

    play(wire, story)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (("success", 0), RunEnd("done")),
        (("exit-code", 7), RunEnd("failed", "exit-code", 7, "01" * 16)),
        (("signal", 9), RunEnd("failed", "signal", 9, "01" * 16)),
    ],
)
def test_a_run_ends_with_what_systemd_saw(
    wire: PrivateBus, end: tuple[str, int], expected: RunEnd
) -> None:
    async def story(manager: SystemdManager, bus: Bus) -> None:
        manager.units[CHECK] = ModelUnit(ends=[end])
        assert await Units(bus).run(CHECK) == expected

    play(wire, story)


def test_a_run_that_is_given_up_is_stopped(wire: PrivateBus) -> None:
    async def story(manager: SystemdManager, bus: Bus) -> None:
        manager.units[CHECK] = ModelUnit(ends=[("hang", 0)])
        run = asyncio.create_task(Units(bus).run(CHECK))
        await manager.started.wait()
        await Units(bus).system_state()  # the answer to the start has arrived, too
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert manager.calls == [("StartUnit", CHECK, "replace"), ("StopUnit", CHECK, "replace")]

    play(wire, story)


def test_a_run_that_polkit_forbids_is_the_devices_fault(wire: PrivateBus) -> None:
    async def story(manager: SystemdManager, bus: Bus) -> None:
        manager.units[CHECK] = ModelUnit(ends=[("forbidden", 0)])
        with pytest.raises(DeviceError, match="refused StartUnit: Interactive authentication"):
            await Units(bus).run(CHECK)

    play(wire, story)


def test_a_run_does_not_outlive_systemd(wire: PrivateBus) -> None:
    async def story(manager: SystemdManager, bus: Bus) -> None:
        manager.units[CHECK] = ModelUnit(ends=[("hang", 0)])
        run = asyncio.create_task(Units(bus).run(CHECK))
        await manager.started.wait()
        await Units(bus).system_state()
        manager.power_off()
        with pytest.raises(PeerLost):
            await run

    play(wire, story)


def test_reboot_is_asked_of_logind_without_a_password(wire: PrivateBus) -> None:
    async def story(manager: SystemdManager, bus: Bus) -> None:
        await Logind(bus).reboot("the update is installed")
        assert manager.calls == [("Reboot", "False")]

    play(wire, story)


def test_a_refused_reboot_says_why(wire: PrivateBus) -> None:
    async def story(manager: SystemdManager, bus: Bus) -> None:
        manager.may_reboot = False
        with pytest.raises(DeviceError, match=r"refused to reboot: .*inhibitor"):
            await Logind(bus).reboot("the update is installed")

    play(wire, story)
