"""What a person sees of a fleet: in a terminal, in a log, and at the end."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from flipside_agent.states import Status
from flipside_qemu.fleet_picture import LivePicture, Pace, PlainPicture, picture
from flipside_qemu.fleet_report import SHOWN, Report
from flipside_qemu.fleet_request import Kind
from flipside_qemu.fleet_tally import OFF, Tally


@pytest.fixture(name="tally")
def _tally() -> Tally:
    """Three devices of a hundred are up, one of them installs; a request went wrong."""
    tally = Tally(goal=1)
    for number in range(100):
        tally.moved(f"fleet-{number}", OFF)
    for number in range(3):
        tally.moved(f"fleet-{number}", Status.IDLE)
    tally.moved("fleet-0", Status.INSTALLING)
    for _ in range(10):
        tally.answered(Kind.POLL, 0.02)
    tally.failed("the server said [red]no[/red]")
    return tally


def _drawn(tally: Tally) -> str:
    console = Console(file=io.StringIO(), width=140, force_terminal=False)
    shown = LivePicture(tally, 100, "100 devices at [bold]http://h", console)
    with console.capture() as capture:
        console.print(shown.picture())
    return capture.get()


def test_a_picture_of_it_all(tally: Tally) -> None:
    lines = _drawn(tally).splitlines()
    assert any("100 devices at [bold]http://h" in line for line in lines)
    for place, count in (("off", 97), ("idle", 2), ("installing", 1), ("rebooting", 0)):
        assert any(line.split()[1:3] == [place, str(count)] for line in lines), place
    assert any("poll" in line and "20.0" in line for line in lines)
    assert any("1 x the server said [red]no[/red]" in line for line in lines)
    assert "0 of 100 devices have arrived" in lines[-1]


def test_one_line_says_where_everybody_is(tally: Tally) -> None:
    line = PlainPicture(tally).line()
    assert "97 off, 2 idle, 1 installing; 0 polls/s; none ended; 1 errors" in line


def test_rates_are_those_of_the_last_seconds() -> None:
    tally, pace = Tally(), Pace()
    assert pace.rates(0.0, tally) == {}
    for now in range(1, 21):
        for _ in range(10 if now <= 10 else 100):
            tally.answered(Kind.POLL, 0.01)
        rates = pace.rates(float(now), tally)
        if now == 10:
            assert rates[Kind.POLL] == pytest.approx(10)
    assert rates[Kind.POLL] == pytest.approx(100)


def test_without_a_terminal_there_are_lines() -> None:
    assert isinstance(picture(Tally(), 1, "one"), PlainPicture)


def test_the_report_names_what_went_wrong_and_no_endless_list(tally: Tally) -> None:
    flaws = [f"fleet-{number}: did not come home" for number in range(50)]
    report = Report(100, 7, 10.0, 1.0, tally, flaws)
    lines = report.lines()
    assert sum("did not come home" in line for line in lines) == SHOWN
    assert lines[-1] == "50 things did not end as they had to"
    assert "states:  2 idle, 1 installing, 97 off" in lines
    document = report.document()
    assert len(document["contradictions"]) == 50
    assert document["requests"]["poll"]["per_second"] == 1.0
    assert document["seed"] == 7


def test_a_report_of_requests_alone_has_no_lives() -> None:
    tally = Tally()
    tally.answered(Kind.POLL, 0.01)
    tally.fetched = 50_000_000
    lines = Report(1, 1, 2.0, 0.5, tally, []).lines()
    assert not any("images" in line for line in lines)
    assert any("25.0 MB/s" in line for line in lines)
