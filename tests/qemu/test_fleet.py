"""A simulated fleet at a server-lite process: every device ends as its world says it has to."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flipside_agent import contact
from flipside_agent.address import Address
from flipside_qemu.fleet import Fleet, Plan, Server
from flipside_qemu.fleet_board import Nature
from flipside_qemu.fleet_bundle import Manner
from flipside_qemu.fleet_cli import main
from flipside_qemu.fleet_credentials import gateway, names, written
from flipside_qemu.fleet_fate import Fate, Odds
from flipside_qemu.fleet_request import Kind
from flipside_server.orders import Subject
from models.authority import Authority
from models.fleet_yard import BUNDLE, Yard, open_yard, plain
from models.web import Mood, Web

ODDS = Odds(fail=0.15, sick=0.15, fallback=0.15, cut=0.3)
BRISK = Nature(boot=0.02, check=0.01, poll_factor=0.1)
PLAN = Plan(BRISK, seed=4, ramp=0.2, updates=1, duration=60)


@pytest.fixture(name="yard", scope="module")
def _yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """One server for all of them: each test has devices and versions of its own."""
    with open_yard(tmp_path_factory.mktemp("yard")) as yard:
        yield yard


def _run(yard: Yard, plan: Plan, proofs: dict[str, str], **how: Any) -> tuple[Fleet, list[str]]:
    fleet = Fleet(Server(yard.address, **how), plan, proofs)
    return fleet, asyncio.run(fleet.run())


def test_fifty_devices_with_every_misfortune(yard: Yard) -> None:
    proofs = yard.stocked(50)
    plan = replace(PLAN, nature=replace(BRISK, odds=ODDS), ask=True)
    fleet, flaws = _run(yard, plan, proofs)
    assert flaws == []
    fates = fleet.tally.images()
    good, bad = fates[Fate.GOOD], 50 - fates[Fate.GOOD]
    assert min(fates.values()) > 0
    assert sum(fates.values()) == 50
    assert yard.states(proofs) == {"finished": good, "error": bad}
    assert fleet.tally.verdicts() == {"success": good, "failure": bad, "canceled": 0}


def test_what_devices_say_reaches_the_operator(yard: Yard) -> None:
    proofs = yard.stocked(6)
    _run(yard, replace(PLAN, nature=replace(BRISK, odds=Odds(sick=1.0))), proofs)
    actions = yard.show(Subject.ACTIONS, proofs)
    assert {one["state"] for one in actions} == {"error"}
    told = [text for one in actions for status in one["statuses"] for text in status["messages"]]
    assert told.count("health check: application") == 6
    targets = yard.show(Subject.TARGETS, proofs)
    assert {one["attributes"]["version"] for one in targets} == {"1"}


def test_the_same_seed_makes_the_same_fleet(tmp_path: Path, yard: Yard) -> None:
    plan = replace(PLAN, nature=replace(BRISK, odds=ODDS, manner=Manner.HEAD))
    fates = []
    with open_yard(tmp_path) as other:
        for here in (yard, other):
            proofs = here.fill(12, "twin-")
            here.assign(proofs, here.release())
            fleet, flaws = _run(here, plan, proofs)
            assert flaws == []
            fates.append({name: one.fate for (name, _), one in fleet.tally.endings.items()})
    assert fates[0] == fates[1]


@pytest.mark.parametrize("manner", list(Manner))
def test_each_manner_of_download(manner: Manner, yard: Yard) -> None:
    proofs = yard.stocked(2)
    fleet, flaws = _run(yard, replace(PLAN, nature=replace(BRISK, manner=manner)), proofs)
    assert flaws == []
    inspected = {Manner.AGENT: 65544, Manner.RAUC: 4}.get(manner, 0)
    whole = 0 if manner is Manner.HEAD else len(BUNDLE)
    assert fleet.tally.fetched == 2 * (inspected + whole)


def test_a_cut_in_the_middle_costs_no_byte_twice(yard: Yard) -> None:
    proofs = yard.stocked(4)
    fleet, flaws = _run(yard, replace(PLAN, nature=replace(BRISK, odds=Odds(cut=1.0))), proofs)
    assert flaws == []
    assert fleet.tally.verdicts()["success"] == 4
    assert {one.world.starts for one in fleet.tally.endings.values()} == {3}
    assert fleet.tally.fetched == 4 * (65544 + len(BUNDLE))


def test_one_update_after_the_other(yard: Yard) -> None:
    proofs = yard.stocked(5)
    fleet = Fleet(Server(yard.address, kept=True), replace(PLAN, updates=2), proofs)

    async def both() -> list[str]:
        run = asyncio.create_task(fleet.run())
        while len(fleet.tally.endings) < 5:
            await fleet.tally.news.wait()
            fleet.tally.news.clear()
        yard.assign(proofs, yard.release())
        return await run

    assert asyncio.run(both()) == []
    assert yard.states(proofs) == {"finished": 10}


def test_a_cancellation_is_answered(yard: Yard) -> None:
    proofs = yard.stocked(1)
    (action,) = yard.show(Subject.ACTIONS, proofs)
    yard.cancel(action["id"])
    fleet, _ = _run(yard, replace(PLAN, updates=0, duration=0.7), proofs)
    assert yard.states(proofs) == {"canceled": 1}
    assert fleet.tally.requests[Kind.CANCEL].count == 1


def test_an_outage_in_the_middle(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact, "FIRST", 0.05)
    proofs = yard.stocked(8)
    web = Web()
    web.behind = yard.address.site.port
    web.off_after = 4 * len(BUNDLE)
    web.switch_on()
    fleet = Fleet(Server(plain(web.url)), PLAN, proofs)

    async def through() -> list[str]:
        run = asyncio.create_task(fleet.run())
        await asyncio.to_thread(web.wait, web.is_off, 30)
        web.switch_on()
        return await run

    try:
        assert asyncio.run(through()) == []
    finally:
        web.switch_off()
    assert yard.states(proofs) == {"finished": 8}
    assert fleet.tally.errors.total() > 0


def test_a_device_that_cannot_end_its_update_is_named(yard: Yard) -> None:
    proofs = yard.fill(2)
    first, second = proofs
    yard.assign([first], yard.release())
    _, flaws = _run(yard, replace(PLAN, duration=1.5), proofs)
    assert flaws == [f"{second}: ended 0 of 1 updates, and is idle"]


def test_a_server_that_forgot_a_result_is_found_out(yard: Yard) -> None:
    proofs = yard.stocked(2)
    web = Web()
    web.behind = yard.address.site.port
    for action in yard.show(Subject.ACTIONS, proofs):
        name = action["target"]
        web.say("GET", f"/DEFAULT/controller/v1/{name}/installedBase/{action['id']}", status=404)
    web.switch_on()
    try:
        fleet = Fleet(Server(plain(web.url)), replace(PLAN, ask=True), proofs)
        flaws = asyncio.run(fleet.run())
    finally:
        web.switch_off()
    assert len(flaws) == 2
    assert all("holds it as not closed, and was told success" in flaw for flaw in flaws)


def test_a_server_that_does_not_want_a_result_is_found_out(yard: Yard) -> None:
    proofs = yard.stocked(1)
    (action,) = yard.show(Subject.ACTIONS, proofs)
    web = Web()
    web.behind = yard.address.site.port
    base = f"/DEFAULT/controller/v1/{action['target']}/deploymentBase/{action['id']}"
    web.say("POST", f"{base}/feedback", status=410)
    web.switch_on()
    try:
        flaws = asyncio.run(Fleet(Server(plain(web.url)), PLAN, proofs).run())
    finally:
        web.switch_off()
    assert len(flaws) == 1
    assert "the server did not want the result, which was success" in flaws[0]


def test_over_tls_with_an_authority_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    authority = Authority(tmp_path, "own")
    pair = str(authority.issue("server"))
    with open_yard(tmp_path, "--tls-cert", pair, "--tls-key", pair) as yard:
        tokens = tmp_path / "tokens"
        tokens.write_text(written(yard.stocked(3)))
        command = _options(yard.address, tokens)
        own = ["--ca", str(authority.certificate), "--updates", "1", "--duration", "60"]
        assert main([*command, *own]) == 0
        foreign = ["--ca", str(Authority(tmp_path, "foreign").certificate), "--duration", "0.5"]
        assert main([*command, *foreign, "--updates", "1"]) == 1
    assert "is not to be trusted" in capsys.readouterr().out


def test_devices_register_themselves_with_a_gateway_token(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    settings, token = tmp_path / "data" / "server.toml", tmp_path / "gateway"
    settings.write_text('[devices]\ngateway_token = "gateway-of-the-fleet"\n')
    settings.chmod(0o600)
    token.write_text("gateway-of-the-fleet\n")
    proofs = gateway(token, names("fleet-", 8))
    with open_yard(tmp_path) as yard:
        _, flaws = _run(yard, replace(PLAN, updates=0, duration=0.5), proofs)
        assert flaws == []
        assert len(yard.show(Subject.TARGETS, proofs)) == 8
        yard.assign(proofs, yard.release())
        _, flaws = _run(yard, replace(PLAN, ask=True), proofs)
        assert flaws == []
        assert yard.states(proofs) == {"finished": 8}


def test_the_command_from_end_to_end(yard: Yard, tmp_path: Path) -> None:
    tokens, figures = tmp_path / "tokens", tmp_path / "figures.json"
    tokens.write_text(written(yard.stocked(10)))
    command = _command(yard.address, tokens, "--updates", "1", "--fail", "0.5", "--ask")
    done = subprocess.run(
        [*command, "--json", str(figures)], capture_output=True, text=True, check=False, env=_ENV
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "everything ended as it had to" in done.stdout
    document = json.loads(figures.read_text())
    assert document["devices"] == 10
    assert document["contradictions"] == []
    assert sum(document["updates"].values()) == 10
    assert document["images"]["failing"] == document["updates"]["failure"] > 0
    assert {"poll", "deployment", "feedback", "download"} <= set(document["requests"])


def test_a_signal_ends_the_run_with_its_figures(yard: Yard, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(written(yard.fill(3)))
    web = Web()
    web.behind = yard.address.site.port
    web.switch_on()
    command = _command(plain(web.url), tokens)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_ENV) as fleet:
        web.wait(lambda: len(web.seen) > 3, 30)
        fleet.send_signal(signal.SIGINT)
        said = fleet.communicate()[0]
    web.switch_off()
    assert fleet.returncode == 0
    assert "3 devices" in said


def test_a_server_that_answers_nonsense_is_told_and_fails_the_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    web = Web()
    web.mood = Mood.GARBAGE
    web.switch_on()
    try:
        options = ["--devices", "2", "--ramp", "0", "--boot", "0", "--check", "0"]
        end = ["--updates", "1", "--duration", "0.5"]
        assert main(["--server", web.url, *options, *end]) == 1
    finally:
        web.switch_off()
    assert "no proper HTTP answer" in capsys.readouterr().out


_ENV = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def _options(address: Address, tokens: Path) -> list[str]:
    brisk = ["--boot", "0.02", "--check", "0.01", "--poll-factor", "0.1", "--ramp", "0.2"]
    return ["--server", str(address.site), "--tokens", str(tokens), *brisk]


def _command(address: Address, tokens: Path, *more: str) -> list[str]:
    start = [sys.executable, "-m", "flipside_qemu.fleet_cli"]
    return [*start, *_options(address, tokens), *more]
