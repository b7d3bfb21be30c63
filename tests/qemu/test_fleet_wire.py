"""HTTP of model devices: what servers do wrong is blamed, connections are kept, links are slow."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from itertools import pairwise
from typing import cast

import pytest

from flipside_agent.errors import AgentError, NetworkError, ServerError
from flipside_qemu.fleet_connection import Answer, Connection, Reply
from flipside_qemu.fleet_request import Caller, Kind, caller
from flipside_qemu.fleet_tally import Tally
from flipside_qemu.fleet_wire import Network, Wire
from models.fleet_yard import plain
from models.virtual_time import run_virtually
from models.web import Mood, Seen, Web

BASE = "/DEFAULT/controller/v1/one"
FILE = bytes(300_000)


@pytest.fixture(name="web")
def _web() -> Iterator[Web]:
    web = Web()
    web.say("GET", BASE, {"config": {}})
    web.files["/fw"] = FILE
    web.switch_on()
    yield web
    web.switch_off()


def _device(web: Web, *, kept: bool = False) -> Caller:
    return caller(plain(web.url), "DEFAULT", "one", "TargetToken abc", kept=kept)


def _wire(web: Web, tally: Tally, *, kept: bool = False, patience: float = 30) -> Wire:
    network = Network(tally, asyncio.Semaphore(4), patience=patience)
    return Wire(network, plain(web.url).site, kept=kept)


def _asked(web: Web, times: int = 1, *, kept: bool = False, patience: float = 30) -> list[Reply]:
    async def ask() -> list[Reply]:
        wire = _wire(web, Tally(), kept=kept, patience=patience)
        request = _device(web, kept=kept).ask("")
        replies = [await wire.ask(Kind.POLL, request) for _ in range(times)]
        wire.close()
        return replies

    return asyncio.run(ask())


def test_an_answer_and_what_was_asked(web: Web) -> None:
    (reply,) = _asked(web)
    assert (reply.status, reply.body) == (200, b'{"config": {}}')
    assert reply.headers["content-length"] == "14"
    (seen,) = web.seen
    assert seen.headers["host"] == f"127.0.0.1:{web.port}"
    assert seen.headers["authorization"] == "TargetToken abc"
    assert seen.headers["connection"] == "close"


def test_a_chunked_answer(web: Web) -> None:
    headers = {"Transfer-Encoding": "chunked"}
    web.say("GET", BASE, headers=headers)
    web.answers["GET", BASE] = web.answers["GET", BASE].__class__(
        200, b"3\r\n{}\n\r\n0\r\n\r\n", headers
    )
    assert _asked(web, 2, kept=True)[1].body == b"{}\n"


@pytest.mark.parametrize(("kept", "connections"), [(True, 1), (False, 3)])
def test_connections_are_kept_only_if_that_is_wanted(
    web: Web, kept: bool, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    real = Connection.connection_made

    def noted(self: Connection, transport: asyncio.BaseTransport) -> None:
        made.append(self)
        real(self, transport)

    monkeypatch.setattr(Connection, "connection_made", noted)
    _asked(web, 3, kept=kept)
    assert len(made) == connections


def test_a_kept_connection_that_the_server_closed_is_made_anew(web: Web) -> None:
    async def ask() -> Reply:
        wire, request = _wire(web, Tally(), kept=True), _device(web, kept=True).ask("")
        await wire.ask(Kind.POLL, request)
        await asyncio.to_thread(web.turn, Mood.WELL)
        return await wire.ask(Kind.POLL, request)

    assert asyncio.run(ask()).status == 200
    assert len(web.seen) == 2


@pytest.mark.parametrize(
    ("mood", "family", "said"),
    [
        (Mood.GARBAGE, ServerError, "no proper HTTP answer"),
        (Mood.HALF, NetworkError, "broke off in the middle"),
        (Mood.ENDLESS, ServerError, "sent more than 1048576 bytes"),
        (Mood.SILENT, NetworkError, "did not answer in time"),
    ],
)
def test_what_a_server_does_wrong_is_blamed_and_counted(
    web: Web, mood: Mood, family: type[AgentError], said: str
) -> None:
    web.mood = mood
    tally = Tally()

    async def ask() -> None:
        patience = 0.2 if mood is Mood.SILENT else 30
        await _wire(web, tally, patience=patience).ask(Kind.POLL, _device(web).ask(""))

    with pytest.raises(family, match=said):
        asyncio.run(ask())
    assert tally.errors.total() == 1
    assert tally.requests[Kind.POLL].count == 0


def test_nobody_listens(web: Web) -> None:
    web.switch_off()
    with pytest.raises(NetworkError, match="cannot be reached"):
        _asked(web)


def test_no_more_requests_are_under_way_than_the_gate_lets_through(web: Web) -> None:
    lock, now, most = threading.Lock(), 0, 0
    both = threading.Barrier(2)

    def entered(_: Seen) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        both.wait(30)
        with lock:
            now -= 1

    web.before_answer = entered

    async def crowd() -> None:
        network = Network(Tally(), asyncio.Semaphore(2))
        request, site = _device(web).ask(""), plain(web.url).site
        await asyncio.gather(*(Wire(network, site).ask(Kind.POLL, request) for _ in range(8)))

    asyncio.run(crowd())
    assert (most, len(web.seen)) == (2, 8)


def test_a_download_is_counted_and_not_kept(web: Web) -> None:
    tally, heard = Tally(), list[int]()

    async def fetch() -> Reply:
        place = plain(web.url + "/fw")
        return await _wire(web, tally).download(_device(web).fetch(place), 0, heard.append)

    reply = asyncio.run(fetch())
    assert (reply.status, reply.received, reply.body) == (200, len(FILE), b"")
    assert tally.fetched == heard[-1] == len(FILE)
    assert heard == sorted(heard)


def test_only_its_head_is_asked_for(web: Web) -> None:
    async def fetch() -> Reply:
        request = _device(web).fetch(plain(web.url + "/fw"), "HEAD")
        return await _wire(web, Tally()).download(request)

    reply = asyncio.run(fetch())
    assert (reply.status, reply.received) == (200, 0)
    assert reply.headers["content-length"] == str(len(FILE))


def test_credentials_stay_with_the_own_server(web: Web) -> None:
    own = _device(web).fetch(plain(web.url + "/fw"))
    foreign = _device(web).fetch(plain("http://elsewhere:81/fw"))
    assert b"Authorization: TargetToken abc" in own
    assert b"Authorization" not in foreign
    assert b"Host: elsewhere:81\r\n" in foreign
    assert "abc" not in repr(_device(web))


class Tap:
    """A transport that can be closed like a tap, and then holds what is poured in."""

    def __init__(self) -> None:
        self.open = True
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.open = False

    def resume_reading(self) -> None:
        self.open = True


def test_a_slow_link_brings_so_many_bytes_a_second_and_no_more() -> None:
    """Ten seconds' worth of bytes lie ready; they are read in ten seconds, piece by piece."""
    link, size = 1000, 10_000

    async def pour() -> tuple[float, list[int]]:
        tap, loop = Tap(), asyncio.get_running_loop()
        connection = Connection(bytearray(4096), patience=60)
        connection.connection_made(cast("asyncio.BaseTransport", tap))
        seen: list[int] = []
        end = connection.begin(b"GET", Answer(seen.append), link)
        ready = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
        while ready:
            if not tap.open:
                await asyncio.sleep(0.01)
                continue
            room = connection.get_buffer(-1)
            count = min(len(room), len(ready))
            room[:count], ready = ready[:count], ready[count:]
            connection.buffer_updated(count)
        await end
        return loop.time(), seen

    seconds, seen = run_virtually(pour())
    assert 8.5 < seconds < 10.5
    assert max(b - a for a, b in pairwise(seen)) <= 1024


def test_an_answer_that_drips_is_waited_for_and_one_that_stops_is_not() -> None:
    async def drip(pieces: int) -> None:
        connection = Connection(bytearray(4096), patience=10)
        connection.connection_made(cast("asyncio.BaseTransport", Tap()))
        end = connection.begin(b"GET", Answer(lambda _: None), 0)
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        for piece in [answer, *[b"x"] * pieces]:
            connection.get_buffer(-1)[: len(piece)] = piece
            connection.buffer_updated(len(piece))
            await asyncio.sleep(9)
        await end

    run_virtually(drip(5))
    with pytest.raises(TimeoutError):
        run_virtually(drip(4))
