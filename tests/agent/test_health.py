"""The health checks at work: systemd as a model, time as short as it can be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from flipside_agent.bus import Bus
from flipside_agent.checks import HealthPolicy, RunEnd, UnitState, Weight
from flipside_agent.errors import DeviceError, NetworkError
from flipside_agent.health import Checks, entries
from flipside_agent.systemd import Units
from flipside_agent.update import Diagnosis
from models.message_bus import PrivateBus
from models.systemd_manager import ModelUnit, SystemdManager


class Board:
    """A device with a directory of checks, whose systemd answers as it is told."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ends: dict[str, list[RunEnd | type[asyncio.Event]]] = {}
        """What each run of a check's unit comes to, in turn; the class Event: it hangs."""
        self.states: dict[str, list[str]] = {}
        self.runs: list[str] = []
        self.server_is_up = True

    def has(self, check: str, *ends: RunEnd | type[asyncio.Event], mode: int = 0o755) -> None:
        file = self.directory / check
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        file.chmod(mode)
        escaped = check.replace("-", r"\x2d").replace("/", "-")
        self.ends[f"flipside-check@{escaped}.service"] = list(ends or (GOOD,))

    def diagnosis(self, policy: Callable[..., HealthPolicy] = HealthPolicy) -> Diagnosis:
        settings = policy(directory=str(self.directory))
        return asyncio.run(Checks(settings, self, self.reach, self.last_line).diagnose())

    async def state(self, unit: str) -> UnitState:
        active = self.states[unit].pop(0)
        return UnitState("loaded", active, "sub")

    async def system_state(self) -> str:
        return "running"

    async def failed(self) -> tuple[str, ...]:
        return ()

    async def run(self, unit: str) -> RunEnd:
        self.runs.append(unit)
        ends = self.ends[unit]
        end = ends.pop(0) if len(ends) > 1 else ends[0]
        if isinstance(end, RunEnd):
            return end
        await end().wait()
        raise AssertionError("an event that nobody sets")

    async def reach(self) -> None:
        if not self.server_is_up:
            raise NetworkError("no route to the server")

    async def last_line(self, invocation: str) -> str:
        return f"said in {invocation}"


GOOD = RunEnd("done")
BAD = RunEnd("failed", "exit-code", 1, invocation="ab")
HANGS = asyncio.Event


@pytest.fixture(name="board")
def _board(tmp_path: Path) -> Board:
    return Board(tmp_path)


def _quick(**settings: object) -> HealthPolicy:
    return HealthPolicy(pause=0.001, **settings)  # type: ignore[arg-type]  # as in the class


def test_a_device_without_checks_is_healthy(board: Board) -> None:
    assert board.diagnosis() == Diagnosis(True)


def test_a_healthy_device(board: Board) -> None:
    board.has("required/10-a")
    board.has("wanted/b")
    assert board.diagnosis() == Diagnosis(True)
    assert board.runs == [
        r"flipside-check@required-10\x2da.service",
        "flipside-check@wanted-b.service",
    ]


def test_a_required_check_that_fails_names_itself_and_says_why(board: Board) -> None:
    board.has("required/radio", BAD)
    board.has("wanted/b")
    found = board.diagnosis(_quick)
    assert found == Diagnosis(False, "required/radio", "exit status 1: said in ab")
    assert board.runs == ["flipside-check@required-radio.service"] * 3


def test_a_check_that_passes_at_the_second_try_passes(board: Board) -> None:
    board.has("required/flaky", BAD, GOOD)
    assert board.diagnosis(_quick).healthy


def test_a_check_that_hangs_fails_with_its_name(board: Board) -> None:
    board.has("required/10-hangs", HANGS)
    board.has("required/20-never-run")
    found = board.diagnosis(lambda **s: _quick(deadline=0.05, **s))
    assert (found.healthy, found.check) == (False, "required/10-hangs")
    assert found.reason == "it had not passed after 0.05 s for all checks"


def test_a_wanted_check_that_hangs_does_not_keep_a_device_from_being_healthy(board: Board) -> None:
    board.has("wanted/hangs", HANGS)
    found = board.diagnosis(lambda **s: _quick(deadline=0.05, **s))
    assert found.healthy
    assert found.reason.startswith("wanted/hangs: it had not passed")


def test_the_server_is_wanted_and_asked_once(board: Board) -> None:
    board.server_is_up = False
    assert board.diagnosis() == Diagnosis(True, reason="server: no route to the server")


def test_the_server_may_be_required(board: Board) -> None:
    board.server_is_up = False
    found = board.diagnosis(lambda **s: _quick(server=Weight.REQUIRED, **s))
    assert found == Diagnosis(False, "server", "no route to the server")


def test_the_server_may_be_left_out(board: Board) -> None:
    board.server_is_up = False
    assert board.diagnosis(lambda **s: _quick(server=None, **s)) == Diagnosis(True)


def test_a_unit_that_never_comes_up_fails(board: Board) -> None:
    board.states["a.service"] = ["failed"] * 3
    found = board.diagnosis(lambda **s: _quick(units=("a.service",), **s))
    assert found == Diagnosis(False, "a.service", "it is failed (sub)")


def test_a_file_that_is_no_check_is_not_passed_over_in_silence(board: Board) -> None:
    board.has("required/radio", mode=0o644)
    found = board.diagnosis()
    assert found == Diagnosis(False, "required/radio", "it is not an executable file")
    assert board.runs == []


def test_hidden_files_are_no_checks(board: Board) -> None:
    board.has("required/.placeholder", mode=0o644)
    assert entries(board.directory) == []


def test_a_directory_that_cannot_be_read_is_the_devices_fault(tmp_path: Path) -> None:
    (tmp_path / "required").touch()
    with pytest.raises(DeviceError, match="required cannot be read: Not a directory"):
        entries(tmp_path)


def test_a_check_that_systemd_may_not_run_fails(tmp_path: Path) -> None:
    """As without our polkit rule: the agent asks and is refused."""
    (tmp_path / "required").mkdir()
    (tmp_path / "required" / "x").touch(mode=0o755)

    async def story(address: str) -> Diagnosis:
        manager, bus = SystemdManager(address), Bus(address)
        await manager.power_on()
        unit = "flipside-check@required-x.service"
        manager.units[unit] = ModelUnit(ends=[("forbidden", 0)])
        board = Board(tmp_path)
        policy = _quick(directory=str(tmp_path))
        found = await Checks(policy, Units(bus), board.reach, board.last_line).diagnose()
        await bus.close()
        return found

    with PrivateBus(tmp_path) as wire:
        found = asyncio.run(story(wire.address))
    assert (found.healthy, found.check) == (False, "required/x")
    assert "Interactive authentication required" in found.reason
