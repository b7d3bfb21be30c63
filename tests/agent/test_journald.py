"""What the journal said of a failed check, with a stand-in for journalctl on the path."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from flipside_agent.journald import last_line


def _journalctl(directory: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    program = directory / "journalctl"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:/bin:/usr/bin")


def test_the_last_line_of_that_run_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _journalctl(tmp_path, monkeypatch, 'echo "$@"')
    said = asyncio.run(last_line("ab12"))
    assert "--lines=1" in said
    assert said.endswith("_SYSTEMD_INVOCATION_ID=ab12")


def test_a_line_that_comes_late_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "asked"
    _journalctl(tmp_path, monkeypatch, f"[ -e {mark} ] && echo no antenna; touch {mark}")
    assert asyncio.run(last_line("ab12")) == "no antenna"


def test_what_a_check_says_is_made_printable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _journalctl(tmp_path, monkeypatch, r"printf '\033[31mno\377 antenna\n'")
    assert asyncio.run(last_line("ab12")).isprintable()


@pytest.mark.parametrize("body", ["exit 1", "exit 0"])
def test_a_journal_that_says_nothing_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    _journalctl(tmp_path, monkeypatch, body)
    assert asyncio.run(last_line("ab12")) == ""


def test_a_missing_journal_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert asyncio.run(last_line("ab12")) == ""
