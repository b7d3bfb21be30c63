"""The installer: a RAUC that reads over HTTP, our origin, our source, and a server with moods."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from flipside_agent import source as source_module
from flipside_agent.address import address_of
from flipside_agent.errors import (
    AgentError,
    DeviceError,
    NetworkError,
    OperatorError,
    ServerError,
    Unavailable,
    UpdateError,
)
from flipside_agent.installer import BundleInstaller
from flipside_agent.rauc_dialect import BundleRefused
from flipside_agent.source import BATCH, RemoteSource, remote_source
from flipside_agent.spool import SpoolFolder
from flipside_agent.tail import LONGEST_TAIL
from flipside_agent.transport import Identity, Transport
from flipside_agent.update import Bundle, Inspection
from flipside_agent.worker import in_thread
from models.bundle import bundle_bytes, manifest_hash
from models.rauc_reader import BLOCK, RaucReader
from models.web import Mood, Said, Web

T = TypeVar("T")
MIB = 1 << 20
CONTENT = bundle_bytes(2 * MIB)
OTHER = bundle_bytes(2 * MIB, seed=2)
SIZE = len(CONTENT)


class Scene:
    """A server, a RAUC, and the installer between them."""

    def __init__(self, web: Web, spool: Path, hold: float) -> None:
        self.web = web
        self.rauc = RaucReader()
        self.spool = spool
        self.progress: list[tuple[int, str]] = []
        self.sources: list[RemoteSource] = []
        self.bundle = Bundle(f"{web.url}/fw", SIZE, "2")
        self.folder = SpoolFolder(spool, reserve=0)
        self.installer = BundleInstaller(
            self.rauc, self._source, self.folder, hold, lambda *step: self.progress.append(step)
        )

    def _source(self, bundle: Bundle) -> RemoteSource:
        address = address_of(self.web.url)
        assert address is not None
        transport = Transport(Identity(address.site, "TargetToken abc"), patience=60)
        self.sources.append(remote_source(bundle, transport, self.folder, lambda: 0.0))
        return self.sources[-1]

    def inspect(self) -> Inspection:
        """Have the bundle inspected."""
        return _do(self.installer.inspect(self.bundle))

    def install(self, seen: Inspection) -> None:
        """Have the inspected bundle installed to slot B."""
        _do(self.installer.install(self.bundle, seen, "B"))

    def at_block(self, number: int, happens: Callable[[], None]) -> None:
        """Let something happen once, before RAUC reads this block of the payload."""

        def before(block: int) -> None:
            if block == number:
                self.rauc.at_block = lambda _: None
                happens()

        self.rauc.at_block = before

    def spooled(self) -> list[str]:
        """Return what lies in the spool's folder."""
        return sorted(path.name for path in self.spool.iterdir()) if self.spool.exists() else []


def _do(story: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(story)


@pytest.fixture(name="scene")
def _scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(source_module, "FIRST_PAUSE", 0.002)
    monkeypatch.setattr(source_module, "LONGEST_PAUSE", 0.02)
    web = Web()
    web.files["/fw"] = CONTENT
    web.switch_on()
    yield Scene(web, tmp_path / "spool", hold=10)
    web.switch_off()


@pytest.fixture(name="hasty")
def _hasty(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """The same with an origin that holds a request but briefly."""
    monkeypatch.setattr("flipside_agent.origin._LAST_CHANCE", 0.01)
    return Scene(scene.web, scene.spool, hold=0.05)


def test_an_inspection_tells_what_rauc_saw_and_pins_it(scene: Scene) -> None:
    seen = scene.inspect()
    assert seen.manifest_hash == manifest_hash(CONTENT)
    assert (seen.version, seen.compatible, seen.size) == ("2", "flipside-qemu", SIZE)
    assert len(seen.tail_sha256) == 64
    assert scene.rauc.written == b""
    assert scene.sources[0].fetched < SIZE // 2


def test_what_was_inspected_is_installed_and_the_spool_is_cleared_away(scene: Scene) -> None:
    seen = scene.inspect()
    assert scene.spooled() == ["bundle", "bundle.map"]
    scene.install(seen)
    assert scene.rauc.written == CONTENT[:-1208]
    assert scene.progress[-1] == (100, "Installing done.")
    assert scene.spooled() == []
    # Nothing twice but the ending, which is asked for at each opening, and what was on its way.
    assert sum(source.fetched for source in scene.sources) <= SIZE + LONGEST_TAIL + BATCH


def test_what_an_installation_cost_the_network_is_logged(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        scene.install(scene.inspect())
    told = [record.getMessage() for record in caplog.records if "bundle bytes" in record.msg]
    fetched = [source.fetched for source in scene.sources]
    assert [line.split(",")[0] for line in told] == [f"bundle bytes: {n} fetched" for n in fetched]


def test_the_running_slot_is_never_written(scene: Scene) -> None:
    seen = scene.inspect()
    scene.rauc.reboot()
    with pytest.raises(DeviceError, match="slot B is running"):
        scene.install(seen)
    assert scene.rauc.installs == 0


@pytest.mark.parametrize("etag", ["", '"always the same"'])
def test_another_bundle_than_the_inspected_one_is_refused_before_rauc_hears_of_it(
    scene: Scene, etag: str
) -> None:
    scene.web.etags["/fw"] = etag
    seen = scene.inspect()
    scene.web.files["/fw"] = OTHER
    with pytest.raises(UpdateError, match="another bundle now than the one inspected"):
        scene.install(seen)
    assert scene.rauc.installs == 0


def test_a_bundle_that_is_exchanged_under_rauc_is_refused(scene: Scene) -> None:
    seen = scene.inspect()
    scene.web.off_after = scene.web.sent + LONGEST_TAIL + MIB // 2

    def exchange() -> None:
        scene.web.files["/fw"] = OTHER
        scene.web.switch_on()

    scene.at_block(3, lambda: _when(scene.web, exchange))
    with pytest.raises(UpdateError, match="changed at the server while it was being fetched"):
        scene.install(seen)


def _when(web: Web, then: Callable[[], None]) -> None:
    """Do something once the power went, without keeping RAUC waiting for it."""

    def watch() -> None:
        web.wait(web.is_off)
        then()

    threading.Thread(target=watch).start()


def test_an_exchanged_payload_under_the_old_signature_is_found_out(scene: Scene) -> None:
    """The server has the inspected tail still, and another payload; not even its ETag changed."""
    scene.web.etags["/fw"] = '"same"'
    seen = scene.inspect()
    scene.web.files["/fw"] = OTHER[:-1208] + CONTENT[-1208:]
    with pytest.raises(UpdateError, match="the payload is not what was signed"):
        scene.install(seen)


def test_a_damaged_spool_is_fetched_again_once(scene: Scene) -> None:
    seen = scene.inspect()
    with (scene.spool / "bundle").open("r+b") as data:
        data.seek(1000)
        data.write(b"damage")
    scene.install(seen)
    assert scene.rauc.installs == 2
    assert scene.rauc.written == CONTENT[:-1208]


def test_a_restart_of_the_server_is_not_noticed_by_rauc(scene: Scene) -> None:
    seen = scene.inspect()
    scene.web.off_after = scene.web.sent + LONGEST_TAIL + MIB // 2
    scene.at_block(3, lambda: _when(scene.web, scene.web.switch_on))
    scene.install(seen)
    assert scene.rauc.installs == 1
    assert scene.rauc.written == CONTENT[:-1208]


def test_a_long_outage_is_the_networks_fault_and_costs_no_byte_twice(hasty: Scene) -> None:
    seen = hasty.inspect()
    hasty.web.off_after = hasty.web.sent + LONGEST_TAIL + MIB // 2
    with pytest.raises(NetworkError, match="cannot be reached"):
        hasty.install(seen)
    assert hasty.rauc.installs == 1
    hasty.web.switch_on()
    hasty.install(seen)
    assert hasty.rauc.written == CONTENT[:-1208]
    assert hasty.sources[-1].resumed >= MIB // 4
    fetched = sum(source.fetched for source in hasty.sources)
    assert fetched <= SIZE + 2 * LONGEST_TAIL + BLOCK


@pytest.mark.parametrize("times", [1, 3])
def test_an_agent_that_is_stopped_half_way_keeps_what_it_has(
    scene: Scene, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that is told to stop again and again, with no patience for a thread."""
    seen = scene.inspect()
    reached, go_on = threading.Event(), threading.Event()

    def stop() -> None:
        reached.set()
        go_on.wait(10)

    async def impatient(call: Callable[[], T]) -> T:
        if times > 1 and call.__name__ == "close":
            await asyncio.Event().wait()
        return await in_thread(call)

    scene.at_block(8, stop)
    monkeypatch.setattr("flipside_agent.installer.in_thread", impatient)

    async def story() -> None:
        install = asyncio.create_task(scene.installer.install(scene.bundle, seen, "B"))
        await asyncio.to_thread(reached.wait, 10)
        for _ in range(times):
            install.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await install
        go_on.set()

    _do(story())
    monkeypatch.undo()
    scene.install(seen)
    assert scene.rauc.written == CONTENT[:-1208]
    assert scene.sources[-1].resumed >= 8 * BLOCK


@pytest.mark.parametrize(
    ("mood", "error", "words"),
    [
        (Mood.BROKEN, Unavailable, "answered 500"),
        (Mood.GARBAGE, ServerError, "no proper HTTP"),
        (Mood.ELSEWHERE, ServerError, "redirects are not followed"),
        (Mood.WHOLE, ServerError, "expected ranges"),
    ],
)
def test_a_server_in_a_bad_mood_is_to_blame_not_rauc(
    hasty: Scene, mood: Mood, error: type[AgentError], words: str
) -> None:
    seen = hasty.inspect()
    hasty.web.off_after = hasty.web.sent + LONGEST_TAIL + 300_000
    hasty.at_block(1, lambda: _when(hasty.web, lambda: _on(hasty.web, mood)))
    with pytest.raises(error, match=words):
        hasty.install(seen)
    hasty.web.mood = mood
    with pytest.raises(error, match=words):
        hasty.inspect()


def _on(web: Web, mood: Mood) -> None:
    web.mood = mood
    web.switch_on()


def test_credentials_that_are_no_longer_good_are_the_operators_business(scene: Scene) -> None:
    scene.web.answers["GET", "/fw"] = Said(401)
    with pytest.raises(OperatorError, match="does not accept this device's name or credentials"):
        scene.inspect()


def test_what_rauc_refuses_is_the_bundles_fault(scene: Scene) -> None:
    scene.rauc.refusal = "signature verification failed"
    with pytest.raises(BundleRefused, match="signature verification failed"):
        scene.inspect()
    assert scene.spooled() == []


def test_a_clock_that_is_not_set_is_waited_for_and_nobodys_proxy(scene: Scene) -> None:
    scene.rauc.refusal = "signature verification failed: Verify error: certificate is not yet valid"
    with pytest.raises(NetworkError, match="this device's clock is not set"):
        scene.inspect()


def test_an_image_that_is_larger_than_the_slot_is_the_bundles_fault(scene: Scene) -> None:
    scene.rauc.image_size = 4097
    scene.rauc.slots_now = tuple(replace(slot, room=4096) for slot in scene.rauc.slots_now)
    with pytest.raises(BundleRefused, match="room for only 4096"):
        scene.inspect()


def test_rauc_is_never_shown_a_signature_without_a_time(scene: Scene) -> None:
    scene.web.files["/fw"] = bundle_bytes(SIZE, signature=b"CMS!" * 300)
    with pytest.raises(UpdateError, match="does not say when it was signed"):
        scene.inspect()
    assert scene.rauc.asked == 0


def test_a_proxy_between_rauc_and_the_origin_is_the_devices_fault(scene: Scene) -> None:
    scene.rauc.proxy = True
    with pytest.raises(DeviceError, match="is a proxy in its way"):
        scene.inspect()


def test_nobody_serves_once_it_is_over(scene: Scene) -> None:
    seen = scene.inspect()
    scene.install(seen)
    for thread in threading.enumerate():
        if thread.name in ("origin", "fetch", "worker"):
            thread.join(10)
            assert not thread.is_alive()


def test_slots_are_known_by_their_bootnames(scene: Scene) -> None:
    status = _do(scene.installer.slot_status("B"))
    assert (status.bootname, status.written, status.good) == ("B", True, True)
    with pytest.raises(DeviceError):
        _do(scene.installer.slot_status("C"))


def test_marks_name_the_running_slot_booted_and_the_other_by_its_name(scene: Scene) -> None:
    async def story() -> None:
        await scene.installer.activate("B")
        await scene.installer.activate("A")
        await scene.installer.mark_good()
        await scene.installer.mark_bad("B")
        await scene.installer.mark_bad("A")

    _do(story())
    assert scene.rauc.marked == [
        ("active", "rootfs.1"),
        ("active", "booted"),
        ("good", "booted"),
        ("bad", "rootfs.1"),
        ("bad", "booted"),
    ]


def test_a_spool_that_cannot_be_cleared_away_spoils_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    seen = scene.inspect()
    monkeypatch.setattr(Path, "unlink", refuse)
    scene.install(seen)
    assert scene.rauc.written == CONTENT[:-1208]


def test_forgetting_clears_the_spool(scene: Scene) -> None:
    scene.inspect()
    scene.installer.forget()
    assert scene.spooled() == []
