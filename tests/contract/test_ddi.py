"""The agent's DDI client against the real server-lite, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from flipside_agent.address import Address, address_of
from flipside_agent.ddi import PollLimits, base_path
from flipside_agent.errors import NetworkError, OperatorError, ServerError
from flipside_agent.hawkbit import Hawkbit
from flipside_agent.installer import BundleInstaller
from flipside_agent.ports import Poll
from flipside_agent.source import remote_source
from flipside_agent.spool import SpoolFolder
from flipside_agent.transport import Identity, Transport
from flipside_agent.update import Outcome, Update, Verdict
from models.authority import Authority
from models.bundle import bundle_bytes, manifest_hash
from models.rauc_reader import RaucReader
from models.server_process import run, serving

T = TypeVar("T")
CONTENT = bundle_bytes(2 << 20)
HASH = manifest_hash(CONTENT)
LIMITS = PollLimits(shortest=1, longest=3600, unsaid=300)


@dataclass
class Desk:
    """The server's data directory, and the commands of whoever ships."""

    data: Path
    folder: Path

    def command(self, *arguments: str | Path) -> str:
        """Run a flipside-server command, which has to succeed."""
        done = run(*arguments, "--data", self.data)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def release(self, *metadata: str) -> None:
        """Put the bundle on the shelf as os:2."""
        bundle = self.folder / "fw.raucb"
        bundle.write_bytes(CONTENT)
        options = [option for entry in metadata for option in ("--metadata", entry)]
        self.command("artifact", "add", bundle, "--name", "os", "--version", "2", *options)

    def assign(self) -> str:
        """Have the device install it; the action's id."""
        return self.command("assign", "pi-1", "os:2")

    def state(self) -> str:
        """What the server believes of the only action."""
        (action,) = json.loads(self.command("show", "actions", "--json"))["actions"]
        return str(action["state"])

    def client(self, url: str, token: str, **tls: Path) -> Hawkbit:
        """The agent's client of this server."""
        address = _address(url)
        identity = Identity(address.site, f"TargetToken {token}", **tls)
        base = Address(address.site, base_path("DEFAULT", "pi-1"))
        return Hawkbit(Transport(identity, patience=10), base, LIMITS)


@pytest.fixture(name="desk")
def _desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "data", tmp_path)


def _address(url: str) -> Address:
    address = address_of(url)
    assert address is not None
    return address


@pytest.fixture(name="served")
def _served(desk: Desk) -> Iterator[tuple[Desk, str, Hawkbit]]:
    token = desk.command("target", "add", "pi-1")
    with serving(desk.data, "--poll", "00:00:07") as server:
        url = f"http://127.0.0.1:{server.port}"
        yield desk, token, desk.client(url, token)
        server.stop(signal.SIGKILL)  # it would wait a second for its devices


def _do(story: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(story)


def _update(poll: Poll) -> Update:
    assert poll.offer is not None
    return Update(poll.offer.action, poll.offer.bundle, base="A", target="B")


def test_a_new_device_tells_what_it_is_and_has_nothing_to_do(
    served: tuple[Desk, str, Hawkbit],
) -> None:
    _, _, client = served
    assert _do(client.poll()) == Poll(sleep=7, wants_attributes=True)
    _do(client.send_attributes({"board": "qemu", "version": "1"}))
    assert _do(client.poll()) == Poll(sleep=7)


def test_an_update_from_the_offer_to_the_success(
    served: tuple[Desk, str, Hawkbit], tmp_path: Path
) -> None:
    desk, token, client = served
    desk.release(f"flipside.manifest-hash={HASH}")
    action = desk.assign()
    poll = _do(client.poll())
    update = _update(poll)
    assert update.action == action
    assert (update.bundle.size, update.bundle.version) == (len(CONTENT), "2")
    assert update.bundle.manifest_hash == HASH
    site = _address(update.bundle.url).site
    transport = Transport(Identity(site, f"TargetToken {token}"), patience=10)
    folder = SpoolFolder(tmp_path / "spool", reserve=0)
    rauc = RaucReader()
    installer = BundleInstaller(
        rauc,
        lambda bundle: remote_source(bundle, transport, folder, lambda: 0.0),
        folder,
        280,
        lambda percent, step: None,
    )

    async def story() -> None:
        seen = await installer.inspect(update.bundle)
        assert seen.manifest_hash == HASH
        await client.progress(action, "installing")
        await installer.install(update.bundle, seen, "B")
        assert desk.state() == "open"
        await client.report(update, Outcome(Verdict.SUCCESS, "slot B is confirmed"))

    _do(story())
    assert rauc.written == CONTENT[:-1208]
    assert desk.state() == "finished"
    assert _do(client.poll()).offer is None


def test_a_failure_is_told_with_its_reason(served: tuple[Desk, str, Hawkbit]) -> None:
    desk, _, client = served
    desk.release()
    desk.assign()
    update = _update(_do(client.poll()))
    _do(client.report(update, Outcome(Verdict.FAILURE, "rolled back", check="web.service")))
    shown = desk.command("show", "actions", "--json")
    assert desk.state() == "error"
    assert "rolled back" in shown
    assert "web.service" in shown
    # A repeated report, after a power cut say, finds the action closed.
    _do(client.report(update, Outcome(Verdict.FAILURE, "rolled back")))


def test_a_cancellation_accepted_and_one_rejected(served: tuple[Desk, str, Hawkbit]) -> None:
    desk, _, client = served
    desk.release()
    action = desk.assign()
    update = _update(_do(client.poll()))
    desk.command("cancel", action)
    assert _do(client.poll()).cancel == action
    _do(client.answer_cancel(action, accepted=False, reason="it is being written"))
    again = _do(client.poll())
    assert (again.cancel, _update(again)) == ("", update)
    desk.command("cancel", action)
    assert _do(client.poll()).cancel == action
    _do(client.report(update, Outcome(Verdict.CANCELED, "it was still waiting")))
    assert desk.state() == "canceled"
    assert _do(client.poll()).cancel == ""


def test_a_wrong_token_is_the_operators_business(served: tuple[Desk, str, Hawkbit]) -> None:
    desk, _, client = served
    url = f"{client._base.site}"  # the server's own address, which the client knows
    with pytest.raises(OperatorError, match="answered 401"):
        _do(desk.client(url, "wrong").poll())


def test_the_same_over_tls_with_an_authority_of_our_own(desk: Desk, tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    pair = ours.issue("server")
    token = desk.command("target", "add", "pi-1")
    desk.release()
    desk.assign()
    with serving(desk.data, "--tls-cert", str(pair), "--tls-key", str(pair)) as server:
        url = f"https://127.0.0.1:{server.port}"
        update = _update(_do(desk.client(url, token, ca=ours.certificate).poll()))
        assert update.bundle.url.startswith(url)
        with pytest.raises(ServerError, match="not to be trusted"):
            _do(desk.client(url, token, ca=theirs.certificate).poll())
        transport = Transport(
            Identity(_address(url).site, f"TargetToken {token}", ours.certificate)
        )
        folder = SpoolFolder(tmp_path / "spool", reserve=0)
        source = remote_source(update.bundle, transport, folder, lambda: 0.0)
        source.open()
        assert source.read(0, 1000, time.monotonic() + 10) == CONTENT[:1000]
        source.close()
        with pytest.raises(NetworkError):
            _do(desk.client(url.replace("https", "http"), token).poll())
