"""Requests of one kind, for benchmarks: as many as were wanted, and what went wrong is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from flipside_qemu.errors import OperatorError
from flipside_qemu.fleet import Server
from flipside_qemu.fleet_cli import main
from flipside_qemu.fleet_credentials import written
from flipside_qemu.fleet_figures import Durations
from flipside_qemu.fleet_load import KINDS, Generator, Load
from flipside_qemu.fleet_request import Kind
from flipside_qemu.fleet_tally import MOST_SENTENCES, Tally
from flipside_server.orders import Subject
from models.fleet_yard import BUNDLE, Yard, open_yard, plain
from models.web import Web


@pytest.fixture(name="yard", scope="module")
def _yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with open_yard(tmp_path_factory.mktemp("yard")) as yard:
        yield yard


def _sent(yard: Yard, load: Load, proofs: dict[str, str], *, kept: bool = False) -> Tally:
    async def send() -> Tally:
        tally = Tally()
        generator = Generator(Server(yard.address, kept=kept), load, proofs)
        await generator.send(await generator.prepare(), tally)
        return tally

    return asyncio.run(send())


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not Kind.REGISTRATION])
def test_each_kind_is_sent_as_often_as_wanted(kind: Kind, kept: bool, yard: Yard) -> None:
    proofs = yard.stocked(3)
    tally = _sent(yard, Load(kind, workers=4, requests=10), proofs, kept=kept)
    assert not tally.errors
    assert tally.requests[kind].count == 10
    assert set(tally.requests) == {kind}
    assert tally.fetched == (10 * len(BUNDLE) if kind is Kind.DOWNLOAD else 0)


def test_feedback_is_spread_over_the_devices_and_closes_nothing(yard: Yard) -> None:
    proofs = yard.stocked(3)
    _sent(yard, Load(Kind.FEEDBACK, workers=2, requests=9), proofs)
    said = [
        [text for status in one["statuses"] for text in status["messages"]]
        for one in yard.show(Subject.ACTIONS, proofs)
    ]
    assert [texts.count("installing: 40 %, writing") for texts in said] == [3, 3, 3]
    assert yard.states(proofs).total() == 3
    assert not {"finished", "error"} & set(yard.states(proofs))


def test_a_load_for_which_nothing_is_laid_ready_is_refused(yard: Yard) -> None:
    with pytest.raises(OperatorError, match="none of 2 devices has an open action"):
        _sent(yard, Load(Kind.FEEDBACK, requests=1), yard.fill(2))


def test_each_device_is_registered_once() -> None:
    web = Web()
    web.switch_on()
    devices = {f"new-{number}": "GatewayToken abc" for number in range(20)}
    for name in devices:
        web.say("GET", f"/DEFAULT/controller/v1/{name}", {})
    try:
        yard = Yard(Path(), plain(web.url))
        tally = _sent(yard, Load(Kind.REGISTRATION, workers=16), devices)
    finally:
        web.switch_off()
    assert tally.requests[Kind.REGISTRATION].count == 20
    assert {one.path.rpartition("/")[2] for one in web.seen} == set(devices)
    assert {one.headers["authorization"] for one in web.seen} == {"GatewayToken abc"}


def test_a_time_ends_a_load(yard: Yard) -> None:
    tally = _sent(yard, Load(Kind.POLL, workers=2, seconds=0.3), yard.fill(1))
    assert tally.requests[Kind.POLL].count > 0


def test_refusals_are_counted_and_fail_the_command(
    yard: Yard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens, figures = tmp_path / "tokens", tmp_path / "figures"
    tokens.write_text(written(dict.fromkeys(yard.fill(2), "TargetToken wrong")))
    where = ["--server", str(yard.address.site), "--tokens", str(tokens)]
    assert main([*where, "--load", "poll", "--requests", "6", "--json", str(figures)]) == 1
    assert "error, 6 times" in capsys.readouterr().out
    document = json.loads(figures.read_text())
    assert document["errors"] == {f"{yard.address.site} answered 401 to poll": 6}
    assert document["requests"]["poll"]["count"] == 6


def test_a_load_without_an_end_is_refused(yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--server", str(yard.address.site), "--load", "poll"]) == 2
    assert "give --requests or --duration" in capsys.readouterr().err


def test_quantiles_are_right_to_two_per_cent() -> None:
    durations = Durations()
    for number in range(1, 1001):
        durations.add(number / 1000)
    assert durations.quantile(0.5) == pytest.approx(0.5, rel=0.02)
    assert durations.quantile(0.99) == pytest.approx(0.99, rel=0.02)
    assert durations.quantile(1.0) == durations.longest == 1.0
    assert Durations().quantile(0.5) == 0.0


def test_a_server_that_makes_up_errors_does_not_fill_the_memory() -> None:
    tally = Tally()
    for number in range(1000):
        tally.failed(f"error {number}")
    assert len(tally.errors) <= MOST_SENTENCES + 1
    assert tally.errors.total() == 1000
