"""What health checks mean: which there are, what a finding says, when to try again, the diagnosis.

A required check that fails rolls the update back; a wanted one is only told of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from flipside_agent.update import Diagnosis

TEMPLATE = "flipside-check"
"""Template unit of which every executable check is an instance."""
NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
POLL = 1.0
"""Seconds until something that is on its way is looked at again."""


FIRST_OF_SYSTEMD = 200
"""From here on exit statuses are systemd's own, systemd.exec(5) "Process Exit Codes"."""


class Weight(StrEnum):
    """What follows if a check fails."""

    REQUIRED = "required"
    WANTED = "wanted"


class Kind(StrEnum):
    """What is looked at."""

    UNIT = "unit"
    FAILED_UNITS = "failed units"
    EXECUTABLE = "executable"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """Which checks there are and how patient they are."""

    units: tuple[str, ...] = ()
    """Units that must be active."""
    no_failed_units: bool = False
    """Whether booting must end without a failed unit."""
    directory: str = "/etc/flipside/health.d"
    """Has ``required`` and ``wanted``, with executables in them."""
    deadline: float = 300.0
    """Seconds for all checks together."""
    retries: int = 2
    """How many more times a required check that failed is tried."""
    pause: float = 5.0
    """Seconds between two tries."""
    server: Weight | None = Weight.WANTED
    """Weight of reaching the server; None: not looked at."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that was found in a directory of checks."""

    weight: Weight
    name: str
    is_executable: bool


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at."""

    kind: Kind
    name: str
    """As it is reported: a unit, ``required/10-network``, ``server``."""
    weight: Weight = Weight.REQUIRED
    flaw: str = ""
    """Why it cannot be carried out at all; then it fails."""


class Standing(StrEnum):
    """How a thing looks at the moment."""

    PASSED = "passed"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look at a thing showed."""

    standing: Standing
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """How a check ended."""

    check: Check
    finding: Finding

    @property
    def passed(self) -> bool:
        """Whether all is well."""
        return self.finding.standing is Standing.PASSED


@dataclass(frozen=True, slots=True)
class UnitState:
    """A unit as systemd describes it."""

    load: str
    active: str
    sub: str


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a unit that was started for its exit status ended."""

    job: str
    """Result of the start job: ``done``, ``failed``, ``timeout``, ``dependency`` ..."""
    result: str = ""
    """``success``, ``exit-code``, ``signal``, ``timeout`` ..."""
    status: int = 0
    """Exit status, or number of the signal."""
    invocation: str = ""
    """Id of this run in the journal, hex."""


PASSED = Finding(Standing.PASSED)


def planned(policy: HealthPolicy, entries: Iterable[Entry]) -> tuple[Check, ...]:
    """Every check in the order in which they are made: required ones first, wanted ones last."""
    checks = [Check(Kind.UNIT, unit) for unit in policy.units]
    if policy.no_failed_units:
        checks.append(Check(Kind.FAILED_UNITS, "failed units"))
    checks += [_executable(entry) for entry in sorted(entries, key=lambda entry: entry.name)]
    if policy.server is not None:
        checks.append(Check(Kind.SERVER, "server", policy.server))
    return tuple(sorted(checks, key=lambda check: check.weight is Weight.WANTED))


def unit_of(check: Check) -> str:
    """Unit that carries out an executable check; its instance is the check's path, escaped.

    systemd.unit(5), "String Escaping for Inclusion in Unit Names"
    """
    escaped = "".join(_escaped(character) for character in check.name)
    return f"{TEMPLATE}@{escaped}.service"


def unit_finding(state: UnitState) -> Finding:
    """What the state of a unit that must be active says."""
    if state.load != "loaded":
        return Finding(Standing.FAILED, f"systemd has no such unit ({state.load})")
    if state.active in ("active", "reloading"):
        return PASSED
    on_its_way = state.active == "activating"
    standing = Standing.PENDING if on_its_way else Standing.FAILED
    return Finding(standing, f"it is {state.active} ({state.sub})")


def system_finding(state: str, failed: Iterable[str]) -> Finding:
    """What the state of the whole system says, apart from our own checks."""
    others = [unit for unit in sorted(failed) if not unit.startswith(f"{TEMPLATE}@")]
    if others:
        return Finding(Standing.FAILED, f"failed: {', '.join(others[:5])}")
    if state in ("initializing", "starting"):
        return Finding(Standing.PENDING, "the system has not finished booting")
    return PASSED


def run_finding(end: RunEnd, last_line: str) -> Finding:
    """What the end of a check's unit says."""
    if end.job == "done":
        return PASSED
    reason = _ending(end)
    return Finding(Standing.FAILED, f"{reason}: {last_line}" if last_line else reason)


def wait_before_next_look(
    check: Check, finding: Finding, failures: int, policy: HealthPolicy
) -> float | None:
    """Seconds until the check is tried again; None if this finding is final."""
    match finding.standing:
        case Standing.PASSED:
            return None
        case Standing.PENDING:
            return POLL
        case Standing.FAILED:
            # A wanted check decides nothing: nothing is to wait for it.
            retries = policy.retries if check.weight is Weight.REQUIRED and not check.flaw else 0
            return policy.pause if failures <= retries else None


def too_late(check: Check, last: Finding | None, policy: HealthPolicy) -> Result:
    """A check that had not passed when the time for all of them was over."""
    why = f" ({last.reason})" if last and last.reason else ""
    reason = f"it had not passed after {policy.deadline:g} s for all checks{why}"
    return Result(check, Finding(Standing.FAILED, reason))


def diagnosis(results: Sequence[Result]) -> Diagnosis:
    """Healthy unless a required check failed; the reason also tells of wanted ones."""
    for result in results:
        if not result.passed and result.check.weight is Weight.REQUIRED:
            return Diagnosis(False, result.check.name, result.finding.reason)
    notes = [f"{r.check.name}: {r.finding.reason}" for r in results if not r.passed]
    return Diagnosis(True, reason="; ".join(notes))


def _executable(entry: Entry) -> Check:
    flaw = ""
    if not NAME.fullmatch(entry.name):
        flaw = "its file name may only have letters, digits and _ . : -"
    elif not entry.is_executable:
        flaw = "it is not an executable file"
    return Check(Kind.EXECUTABLE, f"{entry.weight}/{entry.name}", entry.weight, flaw)


def _escaped(character: str) -> str:
    if character == "/":
        return "-"
    # "-" stands for "/", so a dash of the name's own is escaped; a leading dot cannot occur here.
    return character if re.fullmatch(r"[A-Za-z0-9:_.]", character) else f"\\x{ord(character):02x}"


def _ending(end: RunEnd) -> str:
    match end.result:
        case "exit-code" if end.status >= FIRST_OF_SYSTEMD:
            return f"systemd could not run it (status {end.status})"
        case "exit-code":
            return f"exit status {end.status}"
        case "signal" | "core-dump":
            return f"killed by signal {end.status}"
        case "timeout":
            return "it did not finish in its own time (TimeoutStartSec= of its unit)"
        case "" | "success":
            return f"systemd did not run it ({end.job})"
        case other:
            return f"systemd ended it ({other})"
