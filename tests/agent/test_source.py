"""The remote source against a web server that goes away, comes back, and changes its mind."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from flipside_agent import source as source_module
from flipside_agent.address import address_of
from flipside_agent.errors import (
    AgentError,
    NetworkError,
    OperatorError,
    ServerError,
    Unavailable,
    UpdateError,
)
from flipside_agent.source import BATCH, RemoteSource, remote_source
from flipside_agent.spool import SpoolFolder
from flipside_agent.tail import LONGEST_TAIL
from flipside_agent.transport import Identity, Link, Transport
from flipside_agent.update import Bundle
from models.bundle import bundle_bytes
from models.web import Mood, Said, Seen, Web

MIB = 1 << 20
SIZE = 3 * MIB + 1234
CONTENT = bundle_bytes(SIZE)
CHANGED = bundle_bytes(SIZE, seed=2)
PIECE = 128 << 10


class Scene:
    """A server with a bundle, and a device with a data partition."""

    def __init__(self, web: Web, folder: SpoolFolder) -> None:
        self.web = web
        self.folder = folder
        self.opened: list[RemoteSource] = []
        address = address_of(web.url)
        assert address is not None
        self.transport = Transport(Identity(address.site, "TargetToken abc"), patience=60)

    def source(self, size: int = SIZE, path: str = "/fw") -> RemoteSource:
        """Return a source of the bundle, not opened."""
        bundle = Bundle(self.web.url + path, size, "2")
        self.opened.append(remote_source(bundle, self.transport, self.folder, lambda: 0.0))
        return self.opened[-1]

    def opened_source(self) -> RemoteSource:
        """Return a source of the bundle, ready to be read."""
        source = self.source()
        source.open()
        return source


@pytest.fixture(name="scene")
def _scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(source_module, "FIRST_PAUSE", 0.002)
    monkeypatch.setattr(source_module, "LONGEST_PAUSE", 0.02)
    monkeypatch.setattr(source_module, "LONGEST_ASKED", 0.02)
    web = Web()
    web.files["/fw"] = CONTENT
    web.switch_on()
    scene = Scene(web, SpoolFolder(tmp_path / "spool", reserve=0))
    yield scene
    for source in scene.opened:
        source.close()
    web.switch_off()


def _soon() -> float:
    return time.monotonic() + 10


def _read(source: RemoteSource, start: int = 0, stop: int = SIZE, deadline: float = 0) -> bytes:
    """Read as RAUC does, in pieces."""
    deadline = deadline or _soon()
    return b"".join(
        source.read(at, min(PIECE, stop - at), deadline) for at in range(start, stop, PIECE)
    )


def test_the_tail_is_known_once_it_is_open(scene: Scene) -> None:
    assert scene.source().open() == CONTENT[-(len(b"CMS 1 ") * 200 + 8) :]
    (seen,) = scene.web.seen
    assert seen.headers["range"] == f"bytes={SIZE - LONGEST_TAIL}-{SIZE - 1}"
    assert seen.headers["authorization"] == "TargetToken abc"


def test_reading_it_all_takes_one_long_request(scene: Scene) -> None:
    source = scene.opened_source()
    assert _read(source) == CONTENT
    assert len(scene.web.seen) == 2
    assert source.fetched == SIZE
    assert source.resumed == 0


def test_jumps_take_requests_of_their_own(scene: Scene) -> None:
    source = scene.opened_source()
    places = [0, 2 * MIB + 7, 8, 2 * MIB + 300_000, 100]
    assert [source.read(at, 4, _soon()) for at in places] == [CONTENT[at : at + 4] for at in places]
    assert len(scene.web.seen) == 4


def test_many_readers_at_once(scene: Scene) -> None:
    source = scene.opened_source()
    wrong: list[int] = []

    def reader(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(30):
            at = chance.randrange(SIZE - PIECE)
            if source.read(at, PIECE, _soon()) != CONTENT[at : at + PIECE]:
                wrong.append(at)

    threads = [threading.Thread(target=reader, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_credentials_stay_with_their_server(scene: Scene) -> None:
    elsewhere = Web()
    elsewhere.files["/fw"] = CONTENT
    elsewhere.switch_on()
    bundle = Bundle(f"{elsewhere.url}/fw", SIZE, "2")
    source = remote_source(bundle, scene.transport, scene.folder, lambda: 0.0)
    source.open()
    assert _read(source) == CONTENT
    source.close()
    elsewhere.switch_off()
    assert all("authorization" not in seen.headers for seen in elsewhere.seen)


def test_it_outlives_a_restart_of_the_server_and_fetches_nothing_twice(scene: Scene) -> None:
    source = scene.opened_source()
    scene.web.off_after = MIB
    held_up: list[bytes] = []
    reader = threading.Thread(target=lambda: held_up.append(_read(source)))
    reader.start()
    scene.web.wait(scene.web.is_off)
    _eventually(lambda: source.trouble is not None)
    scene.web.switch_on()
    reader.join(10)
    assert held_up == [CONTENT]
    assert source.trouble is None
    # What was in the pipe when the power went is lost: a piece, and what the sockets held.
    assert scene.web.sent <= SIZE + MIB
    assert source.fetched <= SIZE + PIECE
    conditions = [seen.headers.get("if-range") for seen in scene.web.seen]
    assert conditions[0] is None
    assert set(conditions[1:]) == {conditions[-1]} != {None}


def _eventually(true: Callable[[], bool]) -> None:
    deadline = _soon()
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.002)


def test_a_read_ends_with_its_time_and_says_why(scene: Scene) -> None:
    source = scene.opened_source()
    scene.web.switch_off()
    with pytest.raises(NetworkError, match="cannot be reached: Connection refused"):
        source.read(0, 4, time.monotonic() + 0.1)
    scene.web.switch_on()
    assert source.read(0, 4, _soon()) == CONTENT[:4]


def test_a_silent_server_is_waited_for_no_longer_than_asked(scene: Scene) -> None:
    source = scene.opened_source()
    scene.web.mood = Mood.SILENT
    with pytest.raises(NetworkError, match="in time"):
        source.read(0, 4, time.monotonic() + 0.02)


@pytest.mark.parametrize("mood", [Mood.BROKEN, Mood.HALF])
def test_a_server_in_a_bad_mood_is_asked_again(scene: Scene, mood: Mood) -> None:
    source = scene.opened_source()
    asked = len(scene.web.seen)
    scene.web.mood = mood

    def recover(_: Seen) -> None:
        if len(scene.web.seen) > asked + 3:
            scene.web.mood = Mood.WELL

    scene.web.before_answer = recover
    assert _read(source) == CONTENT


def test_a_link_that_breaks_all_the_time_brings_it_in_the_end(scene: Scene) -> None:
    scene.web.at_most = 100_000
    source = scene.opened_source()
    assert _read(source) == CONTENT
    assert source.fetched <= SIZE + LONGEST_TAIL


def test_a_broken_server_is_blamed_when_the_time_is_up(scene: Scene) -> None:
    source = scene.opened_source()
    scene.web.mood = Mood.BROKEN
    with pytest.raises(Unavailable, match="answered 500"):
        source.read(0, 4, time.monotonic() + 0.1)


def _change(scene: Scene) -> None:
    scene.web.files["/fw"] = CHANGED


def _shrink(scene: Scene) -> None:
    scene.web.files["/fw"] = CONTENT[:-1]


def _withdraw(scene: Scene) -> None:
    del scene.web.files["/fw"]


def _refuse(scene: Scene) -> None:
    scene.web.answers["GET", "/fw"] = Said(401)


def _shift(scene: Scene) -> None:
    scene.web.answers["GET", "/fw"] = Said(206, b"hsqs", {"Content-Range": f"bytes 0-3/{SIZE}"})


def _no_ranges(scene: Scene) -> None:
    scene.web.mood = Mood.WHOLE


def _log_in_first(scene: Scene) -> None:
    scene.web.answers["GET", "/fw"] = Said(200, b"<html>Please log in to this network.</html>")


def _garbage(scene: Scene) -> None:
    scene.web.mood = Mood.GARBAGE


def _redirect(scene: Scene) -> None:
    scene.web.mood = Mood.ELSEWHERE


@pytest.mark.parametrize(
    ("turn", "error", "words"),
    [
        (_change, UpdateError, "changed at the server"),
        (_shrink, UpdateError, "changed at the server"),
        (_withdraw, ServerError, "answered 404"),
        (_refuse, OperatorError, "answered 401"),
        (_no_ranges, ServerError, "only whole, expected ranges"),
        (_log_in_first, ServerError, "only whole, expected ranges"),
        (_garbage, ServerError, "no proper HTTP"),
        (_redirect, ServerError, "redirects are not followed"),
    ],
)
def test_a_turn_for_the_worse_ends_it_for_good(
    scene: Scene, turn: Callable[[Scene], None], error: type[AgentError], words: str
) -> None:
    source = scene.opened_source()
    turn(scene)
    with pytest.raises(error, match=words):
        source.read(0, 4, _soon())
    asked = len(scene.web.seen)
    with pytest.raises(error, match=words):
        source.read(SIZE - 4, 4, _soon())
    assert len(scene.web.seen) == asked


@pytest.mark.parametrize(
    ("turn", "error", "words"),
    [
        (_shrink, UpdateError, f"offered a bundle of {SIZE} bytes but has one of {SIZE - 1}"),
        (_withdraw, ServerError, "answered 404"),
        (_refuse, OperatorError, "answered 401"),
        (_no_ranges, ServerError, "only whole, expected ranges"),
        (_shift, ServerError, "gave bytes 0 to 4 when asked for"),
        (lambda scene: scene.web.switch_off(), NetworkError, "cannot be reached"),
        (lambda scene: setattr(scene.web, "mood", Mood.BROKEN), Unavailable, "answered 500"),
    ],
)
def test_what_cannot_be_opened(
    scene: Scene, turn: Callable[[Scene], None], error: type[AgentError], words: str
) -> None:
    turn(scene)
    with pytest.raises(error, match=words):
        scene.source().open()


def test_a_bundle_that_is_far_shorter_than_offered(scene: Scene) -> None:
    with pytest.raises(UpdateError, match="ends before byte"):
        scene.source(size=SIZE + MIB).open()


def test_what_is_no_bundle_is_refused(scene: Scene) -> None:
    scene.web.files["/fw"] = b"<html>" * 1000
    with pytest.raises(UpdateError, match="not a signed RAUC bundle"):
        scene.source(size=6000).open()


def test_what_has_no_address_is_refused(scene: Scene) -> None:
    with pytest.raises(UpdateError, match="file:///etc/shadow, expected a plain URL"):
        remote_source(
            Bundle("file:///etc/shadow", 1, ""), scene.transport, scene.folder, lambda: 0.0
        )


def test_a_second_life_resumes_what_the_first_one_spooled(scene: Scene) -> None:
    """But for what was on its way, and the ending: that shows whether it is the same bundle."""
    first = scene.opened_source()
    assert _read(first, 0, 2 * MIB) == CONTENT[: 2 * MIB]
    first.close()
    second = scene.opened_source()
    assert first.fetched - BATCH <= second.resumed <= first.fetched
    assert _read(second) == CONTENT
    assert second.fetched == SIZE - second.resumed + LONGEST_TAIL


def test_the_same_bundle_from_another_address_is_resumed(scene: Scene) -> None:
    first = scene.opened_source()
    _read(first, 0, MIB)
    first.close()
    scene.web.files["/again"] = CONTENT
    second = scene.source(path="/again")
    second.open()
    assert second.resumed >= MIB


def test_another_bundle_under_the_same_address_is_not(scene: Scene) -> None:
    first = scene.opened_source()
    _read(first, 0, MIB)
    first.close()
    _change(scene)
    second = scene.opened_source()
    assert second.resumed == 0
    assert _read(second) == CHANGED


def test_a_complete_spool_needs_the_server_for_the_ending_only(scene: Scene) -> None:
    first = scene.opened_source()
    assert _read(first) == CONTENT
    first.close()
    second = scene.opened_source()
    scene.web.switch_off()
    assert _read(second) == CONTENT
    assert second.fetched == LONGEST_TAIL


def test_without_room_it_streams_through(scene: Scene) -> None:
    scene.folder = SpoolFolder(scene.folder.path, reserve=1 << 60)
    source = scene.opened_source()
    assert _read(source) == CONTENT
    assert source.fetched <= SIZE + MIB
    source.close()
    assert scene.opened_source().resumed == 0


def test_without_a_folder_it_streams_through(scene: Scene) -> None:
    scene.folder.path.touch()
    assert _read(scene.opened_source()) == CONTENT


def test_a_disk_that_fills_up_half_way_does_not_stop_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = scene.opened_source()
    assert _read(source, 0, MIB) == CONTENT[:MIB]
    real = os.pwritev

    def full(descriptor: int, pieces: Sequence[bytes], offset: int) -> int:
        if offset > 2 * MIB:
            raise OSError(28, "No space left on device")
        return real(descriptor, pieces, offset)

    monkeypatch.setattr(os, "pwritev", full)
    assert _read(source) == CONTENT


def test_closing_ends_whoever_waits(scene: Scene) -> None:
    source = scene.opened_source()
    scene.web.mood = Mood.SILENT
    ends: list[AgentError] = []

    def wait() -> None:
        try:
            source.read(0, 4, _soon())
        except AgentError as error:
            ends.append(error)

    reader = threading.Thread(target=wait)
    reader.start()
    scene.web.wait(lambda: len(scene.web.seen) == 2)
    source.close()
    reader.join(10)
    assert isinstance(ends[0], NetworkError)
    scene.web.wait(scene.web.is_idle)


def test_a_thread_that_is_stuck_keeps_nothing_from_being_mapped(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = scene.opened_source()
    source.read(0, 1000, _soon())
    scene.web.mood = Mood.SILENT
    monkeypatch.setattr(Link, "abort", lambda _: None)
    asked = len(scene.web.seen)
    with pytest.raises(NetworkError):
        source.read(SIZE - 100_000, 4, time.monotonic() + 0.01)
    scene.web.wait(lambda: len(scene.web.seen) > asked)
    source.close()
    scene.web.mood = Mood.WELL
    assert scene.opened_source().resumed >= LONGEST_TAIL + 1000
    scene.web.switch_off()


def test_closed_between_the_server_and_the_spool(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = scene.source()

    def tail_of(ending: bytes, size: int) -> bytes:
        source.close()
        return b"tail"

    monkeypatch.setattr(source_module, "tail_of", tail_of)
    with pytest.raises(NetworkError, match="closed while it was being opened"):
        source.open()
    assert not scene.folder.path.exists()


def test_closing_twice_is_closing_once(scene: Scene) -> None:
    source = scene.opened_source()
    _read(source, 0, MIB)
    for _ in range(2):
        source.close()
    with pytest.raises(NetworkError, match="closed"):
        source.read(0, 4, _soon())
    assert scene.opened_source().resumed >= MIB


def test_closing_ends_an_opening(scene: Scene) -> None:
    source = scene.source()
    scene.web.mood = Mood.SILENT
    ends: list[AgentError] = []

    def wait() -> None:
        try:
            source.open()
        except AgentError as error:
            ends.append(error)

    opener = threading.Thread(target=wait)
    opener.start()
    scene.web.wait(lambda: len(scene.web.seen) == 1)
    source.close()
    opener.join(10)
    assert isinstance(ends[0], NetworkError)
    assert not scene.folder.path.exists()
