"""The health checks of the running slot, carried out one after the other against a deadline."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, assert_never

from flipside_agent.checks import (
    PASSED,
    Check,
    Entry,
    Finding,
    HealthPolicy,
    Kind,
    Result,
    RunEnd,
    Standing,
    UnitState,
    Weight,
    diagnosis,
    planned,
    run_finding,
    system_finding,
    too_late,
    unit_finding,
    unit_of,
    wait_before_next_look,
)
from flipside_agent.errors import AgentError, DeviceError
from flipside_agent.update import Diagnosis

log = logging.getLogger(__name__)


class Units(Protocol):
    """What is asked of systemd."""

    async def state(self, unit: str) -> UnitState: ...
    async def system_state(self) -> str: ...
    async def failed(self) -> tuple[str, ...]: ...
    async def run(self, unit: str) -> RunEnd: ...


class Checks:
    """All health checks of this device."""

    def __init__(
        self,
        policy: HealthPolicy,
        units: Units,
        reach: Callable[[], Awaitable[object]],
        last_line: Callable[[str], Awaitable[str]],
    ) -> None:
        self._policy = policy
        self._units = units
        self._reach = reach
        """Asks the server for anything; raises if it does not answer."""
        self._last_line = last_line
        """The last line that a run of a unit, by its invocation id, wrote to the journal."""

    async def diagnose(self) -> Diagnosis:
        """Make every check, until a required one has failed for good."""
        deadline = asyncio.get_running_loop().time() + self._policy.deadline
        results: list[Result] = []
        for check in planned(self._policy, entries(Path(self._policy.directory))):
            result = await self._result(check, deadline)
            _tell(result)
            results.append(result)
            if not result.passed and check.weight is Weight.REQUIRED:
                break
        return diagnosis(results)

    async def _result(self, check: Check, deadline: float) -> Result:
        finding: Finding | None = None
        failures = 0
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    finding = await self._look(check)
                    failures += finding.standing is Standing.FAILED
                    pause = wait_before_next_look(check, finding, failures, self._policy)
                    if pause is None:
                        return Result(check, finding)
                    await asyncio.sleep(pause)
        except TimeoutError:
            return too_late(check, finding, self._policy)

    async def _look(self, check: Check) -> Finding:
        if check.flaw:
            return Finding(Standing.FAILED, check.flaw)
        try:
            return await self._finding(check)
        except AgentError as error:
            return Finding(Standing.FAILED, str(error))

    async def _finding(self, check: Check) -> Finding:
        match check.kind:
            case Kind.UNIT:
                return unit_finding(await self._units.state(check.name))
            case Kind.FAILED_UNITS:
                return system_finding(await self._units.system_state(), await self._units.failed())
            case Kind.EXECUTABLE:
                end = await self._units.run(unit_of(check))
                said = await self._last_line(end.invocation) if end.invocation else ""
                return run_finding(end, said)
            case Kind.SERVER:
                await self._reach()
                return PASSED
            case _:
                assert_never(check.kind)


def entries(directory: Path) -> list[Entry]:
    """The files in the directory's ``required`` and ``wanted``; hidden ones are not meant."""
    found: list[Entry] = []
    for weight in Weight:
        try:
            files = [file for file in (directory / weight).iterdir() if file.name[0] != "."]
        except FileNotFoundError:
            continue
        except OSError as error:
            raise DeviceError(f"{directory / weight} cannot be read: {error.strerror}") from error
        found += [Entry(weight, file.name, _is_executable(file)) for file in files]
    return found


def _is_executable(file: Path) -> bool:
    """Tell by the mode: whether this user may run it does not matter, the check's unit does."""
    return file.is_file() and bool(file.stat().st_mode & 0o111)


def _tell(result: Result) -> None:
    if result.passed:
        log.info("health check %s passed", result.check.name)
    else:
        log.warning(
            "%s health check %s failed: %s",
            result.check.weight,
            result.check.name,
            result.finding.reason,
        )
