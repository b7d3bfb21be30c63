"""The server's unit file and what lies beside it: what they promise, and that they agree."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from flipside_server.limits import LIMITS
from models.server_process import run

FOLDER = Path(__file__).parents[2] / "server-lite" / "systemd"
UNIT = FOLDER / "flipside-server.service"


def settings() -> dict[str, list[str]]:
    """Every setting of the unit with its values, in order."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is not installed (Debian: apt install systemd)",
)
def test_exposure_does_not_grow() -> None:
    argv = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT)]
    answer = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    score = re.search(r"Overall exposure level for .*: ([0-9.]+)", answer.stdout)
    if score is None:
        pytest.skip(f"this systemd-analyze cannot judge a file offline: {answer.stderr.strip()}")
    assert float(score[1]) <= 1.5


def test_the_server_is_watched_and_has_no_rights() -> None:
    unit = settings()
    assert unit["Type"] == ["notify"]
    assert unit["User"] == unit["Group"] == ["flipside-server"]
    assert unit["CapabilityBoundingSet"] == [""]
    assert int(unit["WatchdogSec"][0]) > 0
    assert unit["StateDirectory"] == ["flipside-server"]


def test_downloads_have_time_to_end_before_systemd_ends_them() -> None:
    assert int(settings()["TimeoutStopSec"][0]) > LIMITS.grace + LIMITS.look


def test_what_the_operator_must_mend_is_not_tried_again() -> None:
    assert settings()["RestartPreventExitStatus"][0].split() == ["2", "3", "4"]


def test_the_user_exists_where_files_name_it() -> None:
    assert FOLDER.joinpath("flipside-server.sysusers").read_text().split()[:2] == [
        "u",
        "flipside-server",
    ]
    tmpfiles = FOLDER.joinpath("flipside-server.tmpfiles").read_text()
    assert "d /var/lib/flipside-server 0700 flipside-server flipside-server" in tmpfiles


@pytest.mark.parametrize("commented", [True, False])
def test_the_example_options_are_options(commented: bool, tmp_path: Path) -> None:
    """They lead to the first file that is not there, not to a complaint about the options."""
    text = FOLDER.joinpath("flipside-server.default").read_text()
    lines = re.findall(r'^# OPTIONS="(.*)"' if commented else r'^OPTIONS="(.*)"', text, re.M)
    assert lines
    for line in lines:
        words = shlex.split(line.replace("/etc/flipside-server", str(tmp_path)))
        extra = ["--data", str(tmp_path / "data"), "--config", str(tmp_path / "none.toml")]
        ended = run("serve", *words, *extra)
        assert ended.returncode == 3
        assert "none.toml" in ended.stderr or "cert.pem" in ended.stderr
