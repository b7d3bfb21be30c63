"""Clients that are slow, silent, greedy or broken: each is ended in time, none stops the others."""

from __future__ import annotations

import http.client
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flipside_server.artifact_folder import Download
from flipside_server.byte_range import Span
from flipside_server.front_desk import NotHere
from flipside_server.limits import Limits
from flipside_server.listener import Address, listening, tcp_listener
from flipside_server.response import App, Environ
from flipside_server.traffic import Office

HASTY = Limits(sending=0.2, telling=0.2, idle=0.2, stalled=0.2, look=0.02, waiting=3)
PATIENT = Limits(look=0.02)
GET = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /%b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


def echo(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Says what was asked for, and how many bytes were sent."""
    size = len(environ["wsgi.input"].read())
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['PATH_INFO']} {size}".encode()]


@contextmanager
def served(app: App = echo, limits: Limits = PATIENT, quick: App | None = None) -> Iterator[int]:
    office = Office(app, quick, limits)
    with listening(listener := tcp_listener(office, Address("127.0.0.1", 0))):
        yield listener.name[1]


@contextmanager
def client(port: int, *sent: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port)) as made:
        made.settimeout(30)
        for data in sent:
            made.sendall(data)
        yield made


def all_of(connection: socket.socket) -> bytes:
    """Everything until the server ends the connection, in whatever way."""
    found = b""
    try:
        while data := connection.recv(65536):
            found += data
    except ConnectionResetError:
        pass
    return found


def answers(port: int, path: str = "/still") -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    found = connection.getresponse().read() == f"{path} 0".encode()
    connection.close()
    return found


@pytest.mark.parametrize(
    "sent",
    [b"", b"G", GET[:20], GET[:-2], GET % b"a" + b"GET /b", POST % (b"a", 9) + b"12345678"],
    ids=["nothing", "a letter", "half a line", "no end", "half of the second", "half a body"],
)
def test_a_client_that_stops_halfway_is_ended(sent: bytes) -> None:
    with served(limits=HASTY) as port, client(port, sent) as slow:
        all_of(slow)
        assert answers(port)


def test_trickling_does_not_buy_time() -> None:
    """Slowloris: a byte now and then, for ever."""
    with served(limits=HASTY) as port, client(port, GET[:-2]) as slow:
        ended, heard = threading.Event(), []

        def listen() -> None:
            heard.append(all_of(slow))
            ended.set()

        reader = threading.Thread(target=listen)
        reader.start()
        while not ended.wait(0.01):
            try:
                slow.sendall(b"X: y\r\n")
            except OSError:
                break
        reader.join()
        # Not refused for too many headers: its time was over.
        assert heard == [b""]
        assert answers(port)


def test_an_idle_connection_is_closed_in_good_order() -> None:
    with served(limits=HASTY) as port, client(port, GET % b"a") as idle:
        assert all_of(idle).endswith(b"/a 0")


def test_pipelined_requests_are_answered_in_their_order() -> None:
    def unequal(environ: Environ, start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/quick":
            return echo(environ, start_response)
        raise NotHere

    sent = GET % b"slow" + GET % b"quick" + POST % (b"post", 3) + b"abc" + GET % b"last"
    with served(quick=unequal) as port, client(port, sent) as pipe:
        pipe.shutdown(socket.SHUT_WR)
        found = all_of(pipe)
    order = [b"/slow 0", b"/quick 0", b"/post 3", b"/last 0"]
    assert [found.find(one) for one in order] == sorted(found.find(one) for one in order)
    assert -1 not in [found.find(one) for one in order]


def test_who_asks_and_never_listens_is_ended() -> None:
    free = threading.Event()

    def waiting(environ: Environ, start_response: Any) -> Iterable[bytes]:
        free.wait(30)
        return echo(environ, start_response)

    with served(waiting, HASTY) as port, client(port, (GET % b"a") * 10) as pipe:
        all_of(pipe)
        free.set()


def test_a_thousand_silent_connections_stop_nobody() -> None:
    with served() as port:
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(1000)]
        assert answers(port)
        for one in silent:
            one.close()


def test_the_longest_idle_makes_room() -> None:
    with served(limits=Limits(connections=3)) as port, client(port, GET % b"a") as first:
        assert first.recv(1000)
        with client(port, GET % b"b") as second, client(port) as third:
            assert second.recv(1000)
            third.sendall(GET % b"c")
            assert third.recv(1000)
            first.sendall(GET % b"d")
            assert first.recv(1000)
            assert answers(port)
            assert all_of(second) == b""
            for one in (first, third):
                one.sendall(GET % b"e")
                assert one.recv(1000).endswith(b"/e 0")


def test_without_room_nobody_at_work_is_sent_away() -> None:
    free = threading.Event()

    def waiting(environ: Environ, start_response: Any) -> Iterable[bytes]:
        inside.release()
        free.wait(30)
        return echo(environ, start_response)

    inside = threading.Semaphore(0)
    with served(waiting, Limits(connections=1)) as port, client(port, GET % b"a") as first:
        inside.acquire()
        with client(port) as second:
            assert all_of(second) == b""
        free.set()
        assert first.recv(1000).endswith(b"/a 0")


def test_too_many_large_bodies_are_refused_and_small_ones_never() -> None:
    limits = Limits(bodies=300_000, telling=30)
    half = POST % (b"large", 250_000) + b"x" * 200_000
    with served(limits=limits) as port, client(port, half) as first, client(port, half) as second:
        refused = all_of(second) if not first_refused(first) else b""
        assert b" 503 " in refused or not refused
        with client(port, POST % (b"small", 5) + b"12345") as small:
            assert small.recv(1000).endswith(b"/small 5")


def first_refused(connection: socket.socket) -> bool:
    """Whether it was this one; the server may have read either first."""
    connection.settimeout(1)
    try:
        return b" 503 " in connection.recv(1000)
    except TimeoutError:
        return False


def test_a_refusal_is_heard_although_more_was_sent() -> None:
    with served(limits=Limits(body=1000)) as port:
        with client(port, POST % (b"a", 500_000), b"x" * 400_000) as greedy:
            assert b" 413 " in all_of(greedy)
        assert answers(port)


def test_a_word_is_given_before_the_body_is_sent() -> None:
    head = b"PUT /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    with served() as port, client(port, head) as careful:
        assert careful.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        careful.sendall(b"hello")
        assert careful.recv(1000).endswith(b"/a 5")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(bytes(range(256)) * 80_000)
    return path


def opened(file: Path, size: int) -> Download:
    return Download(os.open(file, os.O_RDONLY), Span(0, size))


def sending(file: Path, *, more: int = 0) -> App:
    """Sends a file; with ``more``, it promises what is not there."""

    def app(environ: Environ, start_response: Any) -> Any:
        size = file.stat().st_size + more
        start_response("200 OK", [("Content-Length", str(size))])
        return opened(file, size)

    return app


def test_a_slow_reader_gets_everything_and_holds_no_thread(file: Path) -> None:
    content = file.read_bytes()
    with served(sending(file)) as port:
        readers = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
        for one in readers:
            one.sendall(GET % b"large")
        # More than there are threads wait here, each for its client.
        for one in readers:
            head = one.recv(60, socket.MSG_WAITALL)
            assert head.startswith(b"HTTP/1.1 200")
        found = readers[0].recv(len(content) + 1000, socket.MSG_WAITALL | socket.MSG_DONTWAIT)
        rest = content[-100:]
        tail = found
        while not tail.endswith(rest):
            tail = tail[-200:] + readers[0].recv(1 << 20)
        for one in readers:
            one.close()


def test_who_takes_nothing_of_a_download_is_ended(file: Path) -> None:
    with served(sending(file), HASTY) as port, client(port, GET % b"large") as stuck:
        listener_ended = all_of_slowly(stuck)
        assert listener_ended < file.stat().st_size


def all_of_slowly(connection: socket.socket) -> int:
    """Bytes that come after the server has lost its patience."""
    time.sleep(0.5)  # what is tested: nothing is read for longer than the server waits
    return len(all_of(connection))


def test_a_file_that_is_too_short_breaks_the_answer_off(file: Path) -> None:
    size = file.stat().st_size
    with served(sending(file, more=10)) as port, client(port, GET % b"large") as reader:
        found = all_of(reader)
        assert size < len(found) < size + 500
        assert f"Content-Length: {size + 10}".encode() in found


def test_an_answer_of_unknown_length_is_sent_in_chunks() -> None:
    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [])
        return iter([b"abc", b"de"])

    with served(app) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for _ in range(2):
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"abcde"
        connection.close()


def test_a_bug_costs_its_request_alone(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Environ, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/bug":
            raise ZeroDivisionError
        if environ["PATH_INFO"] == "/header":
            start_response("200 OK", [("X", "a\r\nSet-Cookie: b")])
            return [b""]
        return echo(environ, start_response)

    with served(app) as port:
        for path in (b"bug", b"header"):
            with client(port, GET % path) as first:
                assert first.recv(1000).startswith(b"HTTP/1.1 500")
        assert answers(port)
    assert "this is a bug" in caplog.text


def test_head_and_empty_answers_have_no_body() -> None:
    def app(environ: Environ, start_response: Any) -> Any:
        start_response(environ["PATH_INFO"][1:] + " X", [])
        return [b"body"] if environ["PATH_INFO"] == "/200" else [b""]

    with served(app) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for method, path, length in [("HEAD", "/200", "4"), ("GET", "/304", None)]:
            connection.request(method, path)
            answer = connection.getresponse()
            assert (answer.read(), answer.getheader("Content-Length")) == (b"", length)
        connection.request("GET", "/200")
        assert connection.getresponse().read() == b"body"
        connection.close()


def test_a_stop_waits_for_what_is_under_way_and_for_nothing_else() -> None:
    free, inside = threading.Event(), threading.Event()

    def waiting(environ: Environ, start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/busy":
            inside.set()
            free.wait(30)
        return echo(environ, start_response)

    with served(waiting) as port:
        busy = http.client.HTTPConnection("127.0.0.1", port)
        busy.request("GET", "/busy")
        inside.wait()
        idle = socket.create_connection(("127.0.0.1", port))
        idle.sendall(GET % b"idle")
        assert idle.recv(1000)

        def free_once_idle_is_ended() -> None:
            all_of(idle)
            free.set()

        watching = threading.Thread(target=free_once_idle_is_ended)
        watching.start()
    answer = busy.getresponse()
    assert (answer.read(), answer.getheader("Connection")) == (b"/busy 0", "close")
    watching.join()
    idle.close()


def test_a_stop_does_not_wait_for_ever(file: Path) -> None:
    with served(sending(file), Limits(grace=0.1)) as port, client(port, GET % b"large") as stuck:
        assert stuck.recv(10)
