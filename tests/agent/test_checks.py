"""The decisions of the health checks."""

from __future__ import annotations

import shutil
import subprocess

import pytest

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
from flipside_agent.update import Diagnosis

REQUIRED, WANTED = Weight.REQUIRED, Weight.WANTED
FAILED = Finding(Standing.FAILED, "no")
UNIT = Check(Kind.UNIT, "a.service")
RADIO = Check(Kind.EXECUTABLE, "required/radio")
SERVER = Check(Kind.SERVER, "server", WANTED)


def test_required_checks_come_first_each_by_name() -> None:
    policy = HealthPolicy(units=("a.service",), no_failed_units=True)
    entries = [Entry(WANTED, "a", True), Entry(REQUIRED, "20-b", True), Entry(REQUIRED, "10", True)]
    assert [check.name for check in planned(policy, entries)] == [
        "a.service",
        "failed units",
        "required/10",
        "required/20-b",
        "wanted/a",
        "server",
    ]


@pytest.mark.parametrize(
    ("server", "names"),
    [(REQUIRED, ["server", "wanted/a"]), (WANTED, ["wanted/a", "server"]), (None, ["wanted/a"])],
)
def test_the_server_weighs_what_the_policy_says(server: Weight | None, names: list[str]) -> None:
    checks = planned(HealthPolicy(server=server), [Entry(WANTED, "a", True)])
    assert [check.name for check in checks] == names


@pytest.mark.parametrize(
    ("entry", "flaw"),
    [
        (Entry(REQUIRED, "README", False), "not an executable file"),
        (Entry(REQUIRED, "a b", True), "file name"),
        (Entry(REQUIRED, "x" * 65, True), "file name"),
        (Entry(REQUIRED, "a\n", True), "file name"),
        (Entry(REQUIRED, "10-network.sh", True), ""),
    ],
)
def test_what_cannot_be_a_check_is_not_passed_over(entry: Entry, flaw: str) -> None:
    check = planned(HealthPolicy(server=None), [entry])[0]
    assert flaw in check.flaw
    assert bool(check.flaw) == bool(flaw)


def test_the_unit_of_a_check_is_escaped_as_systemd_does() -> None:
    check = Check(Kind.EXECUTABLE, "required/10-net_work:1.sh")
    assert unit_of(check) == r"flipside-check@required-10\x2dnet_work:1.sh.service"


@pytest.mark.skipif(shutil.which("systemd-escape") is None, reason="systemd is not installed")
def test_systemd_agrees_about_the_name_of_the_unit() -> None:
    check = Check(Kind.EXECUTABLE, "required/10-net_work:1.sh")
    argv = ["systemd-escape", "--template=flipside-check@.service", check.name]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert unit_of(check) == said.strip()


@pytest.mark.parametrize(
    ("state", "standing"),
    [
        (UnitState("loaded", "active", "running"), Standing.PASSED),
        (UnitState("loaded", "reloading", "reload"), Standing.PASSED),
        (UnitState("loaded", "activating", "auto-restart"), Standing.PENDING),
        (UnitState("loaded", "failed", "failed"), Standing.FAILED),
        (UnitState("loaded", "inactive", "dead"), Standing.FAILED),
        (UnitState("not-found", "inactive", "dead"), Standing.FAILED),
    ],
)
def test_a_unit_must_be_active(state: UnitState, standing: Standing) -> None:
    assert unit_finding(state).standing is standing


def test_no_unit_may_have_failed_but_our_own_checks() -> None:
    assert system_finding("degraded", ["flipside-check@wanted-x.service"]) == PASSED
    found = system_finding("degraded", ["b.service", "a.mount"])
    assert found == Finding(Standing.FAILED, "failed: a.mount, b.service")
    assert system_finding("starting", []).standing is Standing.PENDING
    assert system_finding("starting", ["a.service"]).standing is Standing.FAILED


@pytest.mark.parametrize(
    ("end", "line", "reason"),
    [
        (RunEnd("failed", "exit-code", 7), "no signal", "exit status 7: no signal"),
        (RunEnd("failed", "exit-code", 1), "", "exit status 1"),
        (RunEnd("failed", "exit-code", 203), "", "systemd could not run it (status 203)"),
        (RunEnd("failed", "signal", 9), "", "killed by signal 9"),
        (RunEnd("failed", "timeout", 15), "", "it did not finish in its own time"),
        (RunEnd("failed", "oom-kill", 9), "", "systemd ended it (oom-kill)"),
        (RunEnd("dependency"), "", "systemd did not run it (dependency)"),
    ],
)
def test_a_run_that_failed_says_how(end: RunEnd, line: str, reason: str) -> None:
    finding = run_finding(end, line)
    assert finding.standing is Standing.FAILED
    assert finding.reason.startswith(reason)


def test_a_run_that_ended_well_passed() -> None:
    assert run_finding(RunEnd("done"), "") == PASSED


@pytest.mark.parametrize(
    ("check", "finding", "failures", "wait"),
    [
        (RADIO, PASSED, 0, None),
        (RADIO, FAILED, 1, 5.0),
        (RADIO, FAILED, 2, 5.0),
        (RADIO, FAILED, 3, None),
        (RADIO, Finding(Standing.PENDING), 99, 1.0),
        (SERVER, FAILED, 1, None),
        (Check(Kind.EXECUTABLE, "required/x", flaw="it is not executable"), FAILED, 1, None),
    ],
)
def test_failures_of_required_checks_are_forgiven_a_few_times(
    check: Check, finding: Finding, failures: int, wait: float | None
) -> None:
    assert wait_before_next_look(check, finding, failures, HealthPolicy()) == wait


def test_the_first_required_failure_is_the_diagnosis() -> None:
    results = [
        Result(UNIT, PASSED),
        Result(RADIO, Finding(Standing.FAILED, "exit status 1: no antenna")),
        Result(SERVER, FAILED),
    ]
    assert diagnosis(results) == Diagnosis(False, "required/radio", "exit status 1: no antenna")


def test_wanted_failures_are_told_and_forgiven() -> None:
    results = [Result(UNIT, PASSED), Result(SERVER, Finding(Standing.FAILED, "no route"))]
    assert diagnosis(results) == Diagnosis(True, reason="server: no route")
    assert diagnosis([]) == Diagnosis(True)


def test_a_check_that_is_too_late_says_what_it_was_at() -> None:
    late = too_late(UNIT, Finding(Standing.PENDING, "it is activating (start)"), HealthPolicy())
    assert late.finding.reason == (
        "it had not passed after 300 s for all checks (it is activating (start))"
    )
    assert not late.passed
