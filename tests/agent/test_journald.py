"""What the journal said of a failed check, with a stand-in for journalctl on the path."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from flipside_agent.journald import failed_trial, last_line


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


BOOT = "0123456789abcdef0123456789abcdef"
DASHED = "01234567-89ab-cdef-0123-456789abcdef"
JOURNAL = rf"""
case "$*" in
    *_SYSTEMD_UNIT=flipside-trial-journal.service)
        printf '{{"MESSAGE":"rauc.slot=B flipside.trial=1","_BOOT_ID":"{BOOT}"}}\n' ;;
    *_BOOT_ID={BOOT})
        printf '{{"MESSAGE":"no pulse","SYSLOG_IDENTIFIER":"probe"}}\n' ;;
esac
"""


def test_a_trial_that_failed_is_told_by_its_own_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _journalctl(tmp_path, monkeypatch, JOURNAL)
    assert asyncio.run(failed_trial("B", {"other"})) == (DASHED, ("probe: no pulse",))


def test_a_trial_of_the_other_slot_or_one_that_was_told_before_is_not_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _journalctl(tmp_path, monkeypatch, JOURNAL)
    assert asyncio.run(failed_trial("A", ())) == ("", ())
    assert asyncio.run(failed_trial("B", {DASHED})) == ("", ())


@pytest.mark.parametrize("body", ["exit 1", "echo nonsense", "echo '{}'"])
def test_without_a_trial_in_the_journal_there_are_no_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    _journalctl(tmp_path, monkeypatch, body)
    assert asyncio.run(failed_trial("B", ())) == ("", ())
