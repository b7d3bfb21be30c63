"""``flipside-agent`` as it is typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from flipside_agent.chronicle import archive
from flipside_agent.cli import main
from flipside_agent.history import Entry
from models.rights import nobody

ENTRY = Entry("7", "2", "1", "B", "2026-11-23T12:00:00Z", "failure", "no pulse", "probe", ("x: y",))


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Three updates that have ended."""
    path = tmp_path / "history"
    for action in ("7", "8", "9"):
        archive(path).add(Entry(action, "2", "1", "B", "", "failure", "no", journal=("x: y",)))
    return path


def test_history_shows_a_line_for_each(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "--history", str(history)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["7", "8", "9"]


def test_history_shows_last_words_when_asked(
    history: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["history", "--verbose", "--last", "1", "--history", str(history)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "action 9" in first
    assert second == "    x: y"


@pytest.mark.parametrize(("last", "shown"), [("1", 1), ("2", 2), ("3", 3), ("99", 3)])
def test_history_shows_only_the_newest_when_asked(
    history: Path, capsys: pytest.CaptureFixture[str], last: str, shown: int
) -> None:
    assert main(["history", "--json", "--last", last, "--history", str(history)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [entry["action"] for entry in told] == ["7", "8", "9"][-shown:]


@pytest.mark.parametrize("last", ["0", "-1", "x", ""])
def test_a_number_that_is_none_is_refused(last: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["history", f"--last={last}"])
    assert end.value.code == 2
    assert f"{last!r} is no number of updates, expected 1 or more" in capsys.readouterr().err


def test_without_a_history_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "history")
    assert main(["history", "--history", path]) == 0
    assert capsys.readouterr().out == "No update has ended on this device yet.\n"
    assert main(["history", "--json", "--history", path]) == 0
    assert capsys.readouterr().out == "[]\n"
    assert not Path(path).exists()


def test_without_a_data_partition_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["history", "--history", str(tmp_path / "none" / "history")]) == 4
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"flipside-agent: {tmp_path}/none: no such directory, expected the")
    assert told.err.count("\n") == 1


def test_somebody_without_rights_is_told_who_may(capsys: pytest.CaptureFixture[str]) -> None:
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        path = Path(name) / "history"
        archive(path).add(ENTRY)
        with nobody():
            assert main(["history", "--history", str(path)]) == 3
    assert "has no permission to read the history, expected root, or" in capsys.readouterr().err


def test_a_look_at_the_history_does_not_cost_what_the_agent_costs(history: Path) -> None:
    program = (
        "import sys; from flipside_agent.cli import main; "
        f"main(['history', '--history', {str(history)!r}]); "
        "sys.exit(' '.join(sys.modules.keys() & {'asyncio', 'ssl', 'socket', 'dbus_next'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stderr == "\n"
    assert len(done.stdout.splitlines()) == 3


def test_an_agent_that_was_not_booted_by_a_flipside_loader_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--journal", str(tmp_path / "journal")]) == 4
    assert "expected the boot loader to say A or B" in capsys.readouterr().err


def test_a_configuration_at_fault_has_its_own_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "agent.toml"
    policy.write_text("[server]\nurl = 7\n")
    assert main(["check-config", "--policy", str(policy), "--device", str(tmp_path / "no")]) == 3
    assert "agent.toml" in capsys.readouterr().err
