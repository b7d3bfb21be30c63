"""``flipside-server assign`` and ``cancel``: every term, and what ``show`` tells of it."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flipside_server.assignment import add_terms, assignment
from flipside_server.cli import main
from flipside_server.errors import OperatorError
from flipside_server.orders import Assign, from_document, to_document
from flipside_server.terms import Terms, Urgency
from flipside_server.window import Window


@dataclass
class Shell:
    """Runs commands on a data directory with one target and one artifact."""

    data: Path
    capture: pytest.CaptureFixture[str]

    def run(self, *arguments: str) -> tuple[int, str, str]:
        code = main([*arguments, "--data", str(self.data)])
        return code, *self.capture.readouterr()

    def shown(self, subject: str) -> Any:
        return json.loads(self.run("show", subject, "--json")[1])[subject]


@pytest.fixture(name="shell")
def _shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    shell = Shell(tmp_path / "data", capsys)
    (tmp_path / "fw.raucb").write_bytes(b"firmware")
    shell.run("target", "add", "pi-1")
    file = str(tmp_path / "fw.raucb")
    shell.run("artifact", "add", file, "--name", "os", "--version", "1.0")
    return shell


def ordered(*terms: str) -> Assign:
    """The order that the options make."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("set")
    add_terms(parser)
    return assignment(parser.parse_args(["pi-1", "os:1.0", *terms]))


NIGHTLY = Window("0 0 3 ? * *", "01:00:00", "+01:00")
SUNDAYS = Window("0 30 2 ? * SUN", "02:00:00", "-05:00")


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([], Terms()),
        (["--soft"], Terms(Urgency.SOFT)),
        (["--download-only"], Terms(Urgency.DOWNLOAD_ONLY)),
        (
            ["--forced-at", "2027-01-31T03:00+01:00"],
            Terms(Urgency.TIMEFORCED, 1_801_360_800_000),
        ),
        (["--hold", "72:00:00"], Terms(hold=72 * 3600)),
        (["--hold", "no"], Terms(hold=0)),
        (["--window", "03:00 01:00:00 +01:00"], Terms(window=NIGHTLY)),
        (["--soft", "--window", "0 30 2 ? * SUN 02:00:00 -05:00"], Terms(Urgency.SOFT, 0, SUNDAYS)),
    ],
)
def test_each_term(terms: list[str], expected: Terms) -> None:
    assert ordered(*terms) == Assign("pi-1", "os:1.0", expected)
    assert ordered(*terms, "--confirm") == Assign("pi-1", "os:1.0", expected, confirm=True)


def test_an_order_is_the_same_after_its_way_to_the_server() -> None:
    order = ordered("--soft", "--window", "03:00 01:00:00 +01:00", "--hold", "01:00:00")
    assert from_document(json.loads(json.dumps(to_document(order)))) == order


@pytest.mark.parametrize(
    ("terms", "complaint"),
    [
        (["--forced-at", "tomorrow"], "'tomorrow' is no time"),
        (["--hold", "1 day"], "the duration '1 day'"),
        (["--hold", "00:00:00"], "the duration '00:00:00'"),
        (["--window", "x 01:00:00 +01:00"], "the window's schedule 'x'"),
        (["--window", "03:00 1h +01:00"], "the duration '1h'"),
        (["--window", "03:00 01:00:00 CET"], "the window's time zone 'CET'"),
        (["--window", "03:00"], "give its schedule, duration and time zone"),
    ],
)
def test_terms_that_cannot_be_used(terms: list[str], complaint: str) -> None:
    with pytest.raises(OperatorError) as refused:
        ordered(*terms)
    assert complaint in str(refused.value)


def test_what_was_agreed_is_kept_and_shown(shell: Shell) -> None:
    code, _, told = shell.run("assign", "pi-1", "os:1.0", "--soft", "--confirm")
    assert (code, told) == (0, "")
    (action,) = shell.shown("actions")
    assert (action["state"], action["statuses"][0]["kind"]) == ("waiting", "wait_for_confirmation")
    assert (action["terms"]["urgency"], action["held_until"]) == ("soft", None)
    assert " waiting " in shell.run("show", "actions")[1]
    code, _, told = shell.run("assign", "pi-1", "os:1.0", "--hold", "1 day")
    assert (code, told.count("\n")) == (3, 1)


def test_terms_that_exclude_each_other() -> None:
    with pytest.raises(SystemExit):
        ordered("--soft", "--download-only")


def test_a_device_that_is_dead_need_not_answer(shell: Shell) -> None:
    shell.run("assign", "pi-1", "os:1.0")
    code, _, told = shell.run("cancel", "1", "--force")
    assert (code, "cancel it first" in told) == (3, True)
    assert shell.run("cancel", "1")[0] == 0
    assert shell.run("cancel", "1", "--force")[0] == 0
    assert shell.shown("actions")[0]["state"] == "canceled"
