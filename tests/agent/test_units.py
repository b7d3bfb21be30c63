"""The unit files and the example policy: what they promise, and that they agree with the code."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from flipside_agent.checks import TEMPLATE, HealthPolicy
from flipside_agent.config import load
from flipside_agent.journald import TRIAL

AGENT = Path(__file__).parents[2] / "agent"
UNITS = AGENT / "systemd"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is not installed (Debian: apt install systemd)",
)


def _settings(unit: str) -> dict[str, list[str]]:
    """Every setting of a unit file with its values, in order."""
    found: dict[str, list[str]] = {}
    for line in (UNITS / unit).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def _seconds(span: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(min|s)?", span).groups()  # type: ignore[union-attr]  # fails the test
    return int(number) * (60 if unit == "min" else 1)


@needs_systemd
@pytest.mark.parametrize(
    ("unit", "at_most"), [("flipside-agent.service", 1.5), ("flipside-check@.service", 2.5)]
)
def test_exposure_does_not_grow(unit: str, at_most: float) -> None:
    argv = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNITS / unit)]
    answer = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    score = re.search(r"Overall exposure level for .*: ([0-9.]+)", answer.stdout)
    if score is None:
        pytest.skip(f"this systemd-analyze cannot judge a file offline: {answer.stderr.strip()}")
    assert float(score[1]) <= at_most


def test_the_agent_is_watched_and_has_no_rights() -> None:
    agent = _settings("flipside-agent.service")
    assert agent["Type"] == ["notify"]
    assert agent["User"] == ["flipside"]
    assert agent["CapabilityBoundingSet"] == [""]
    assert int(agent["WatchdogSec"][0]) > 0
    assert agent["ReadWritePaths"] == ["-/data/flipside"]


def test_the_agent_starts_without_the_data_partition() -> None:
    agent = _settings("flipside-agent.service")
    assert {"Requires", "RequiresMountsFor", "BindsTo", "Requisite"}.isdisjoint(agent)


def test_an_agent_that_cannot_start_ends_a_trial_at_once_and_no_sooner() -> None:
    agent = _settings("flipside-agent.service")
    assert "flipside-trial.service" in agent["OnFailure"][0].split()
    # Otherwise OnFailure= would act upon the first failure, not upon the last.
    assert agent["RestartMode"] == ["direct"]
    burst, interval = int(agent["StartLimitBurst"][0]), int(agent["StartLimitIntervalSec"][0])
    assert burst * int(agent["RestartSec"][0]) < interval / 2  # or the limit is never reached


@pytest.mark.parametrize("unit", ["flipside-trial.timer", "flipside-trial.service"])
def test_the_end_of_a_trial_needs_nothing_that_may_be_broken(unit: str) -> None:
    trial = _settings(unit)
    assert trial["ConditionKernelCommandLine"] == ["flipside.trial=1"]
    assert trial["DefaultDependencies"] == ["no"]
    assert trial["IgnoreOnIsolate"] == ["yes"]
    assert {"After", "Requires", "Wants"}.isdisjoint(trial)


def test_the_end_of_a_trial_reboots_whatever_its_word_on_the_console_comes_to() -> None:
    trial = _settings("flipside-trial.service")
    assert trial["ConditionPathExists"] == ["!/run/flipside/confirmed"]
    assert trial["SuccessAction"] == trial["FailureAction"] == ["reboot-force"]
    assert trial["ExecStart"][0].startswith("-")
    assert _settings("flipside-trial.timer")["WantedBy"] == ["sysinit.target"]


def test_the_journal_of_a_trial_is_kept_and_no_trial_fails_for_it() -> None:
    unit = _settings(TRIAL)
    assert unit["ConditionKernelCommandLine"] == ["flipside.trial=1"]
    assert unit["DefaultDependencies"] == ["no"]
    # The agent tells by this line which boot was a trial, and of which slot.
    assert unit["ExecStart"][0] == "cat /proc/cmdline"
    assert all(command.startswith("-") for command in (*unit["ExecStart"][1:], *unit["ExecStop"]))


def test_a_trial_that_is_confirmed_writes_no_more_journal() -> None:
    word = _settings("flipside-confirmed.path")["PathExists"][0]
    assert _settings("flipside-trial.service")["ConditionPathExists"] == [f"!{word}"]
    confirmed = _settings("flipside-confirmed.service")
    assert confirmed["Conflicts"] == [TRIAL]
    # A path unit starts its service for as long as there is the path and no service.
    assert confirmed["RemainAfterExit"] == ["yes"]


def test_the_checks_have_time_to_end_before_the_trial_does() -> None:
    trial = _seconds(_settings("flipside-trial.timer")["OnBootSec"][0])
    check = _seconds(_settings(f"{TEMPLATE}@.service")["TimeoutStartSec"][0])
    assert check < HealthPolicy().deadline <= trial / 2


def test_checks_are_where_the_template_unit_looks_for_them() -> None:
    assert _settings(f"{TEMPLATE}@.service")["ExecStart"] == [f"{HealthPolicy().directory}/%I"]


def test_the_example_policy_shows_the_values_that_count_without_it(tmp_path: Path) -> None:
    example = (AGENT / "config" / "agent.toml").read_text()
    uncommented = re.sub(r"^# ([a-z_]+ = )", r"\1", example, flags=re.MULTILINE)
    # These have no value of their own; what is shown is what one would look like.
    for key in ("units", "ca"):
        uncommented = re.sub(rf"^{key} = .*$", "", uncommented, flags=re.MULTILINE)
    (tmp_path / "plain.toml").write_text(example)
    (tmp_path / "full.toml").write_text(uncommented)
    plain = load(tmp_path / "plain.toml", tmp_path / "none")
    assert load(tmp_path / "full.toml", tmp_path / "none") == plain
    assert plain.health == HealthPolicy()
    assert uncommented.count(" = ") == example.count(" = ") - 2
