"""The local origin, spoken to as RAUC's helper does, and as a stranger might."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flipside_agent.errors import (
    AgentError,
    DeviceError,
    NetworkError,
    OperatorError,
    ServerError,
    Unavailable,
    UpdateError,
)
from flipside_agent.origin import MOST_CONNECTIONS, PATH, PIECE, Origin
from flipside_agent.request import LONGEST_HEAD, Request, request_of
from models.bundle import ModelSource, bundle_bytes

CONTENT = bundle_bytes(3 * PIECE + 17)
SIZE = len(CONTENT)


@pytest.fixture(name="source")
def _source() -> ModelSource:
    return ModelSource(CONTENT)


@pytest.fixture(name="origin")
def _origin(source: ModelSource) -> Iterator[Origin]:
    origin = Origin(source, hold=280)
    origin.start()
    yield origin
    origin.stop()


def _port(origin: Origin) -> int:
    port = urlsplit(origin.location).port
    assert port is not None
    return port


def _connect(origin: Origin) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", _port(origin), timeout=10)


def _ask(
    origin: Origin,
    range_: str | None = "bytes=0-3",
    method: str = "GET",
    path: str = PATH,
    headers: dict[str, str] | None = None,
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = _connect(origin)
    wanted = dict(origin.headers if headers is None else headers)
    if range_ is not None:
        wanted["Range"] = range_
    connection.request(method, path, headers=wanted)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def test_raucs_first_question(origin: Origin) -> None:
    response, body = _ask(origin, "bytes=0-3")
    assert response.status == 206
    assert response.headers["Content-Range"] == f"bytes 0-3/{SIZE}"
    assert response.headers["Content-Length"] == "4"
    assert body == CONTENT[:4]
    assert origin.served == 4
    assert origin.failure is None


@pytest.mark.parametrize(
    ("range_", "start", "stop"),
    [
        ("bytes=131072-262143", 131072, 262144),
        (f"bytes={SIZE - 8}-{SIZE - 1}", SIZE - 8, SIZE),
        (f"bytes={SIZE - 8}-{SIZE + 4096}", SIZE - 8, SIZE),
        ("bytes=-8", SIZE - 8, SIZE),
        (f"bytes=0-{PIECE - 1}", 0, PIECE),
        (f"bytes=1-{PIECE + 1}", 1, PIECE + 2),
        ("bytes=0-", 0, SIZE),
    ],
)
def test_ranges(origin: Origin, range_: str, start: int, stop: int) -> None:
    response, body = _ask(origin, range_)
    assert response.status == 206
    assert response.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert body == CONTENT[start:stop]


def test_one_connection_serves_many_requests(origin: Origin) -> None:
    connection = _connect(origin)
    for at in range(0, SIZE, 100_000):
        headers = {**origin.headers, "Range": f"bytes={at}-{at + 99_999}"}
        connection.request("GET", PATH, headers=headers)
        assert connection.getresponse().read() == CONTENT[at : at + 100_000]
    connection.close()


def test_requests_sent_in_one_go_are_answered_in_order(origin: Origin) -> None:
    with socket.create_connection(("127.0.0.1", _port(origin)), 10) as raw:
        raw.sendall(
            _head(origin, "bytes=0-0") + _head(origin, "bytes=1-1", "Connection: close\r\n")
        )
        assert _all(raw).count(b"HTTP/1.1 206 Partial Content\r\n") == 2


def test_several_connections_at_once(origin: Origin) -> None:
    answers: list[bool] = []

    def client(number: int) -> None:
        _, body = _ask(origin, f"bytes={number * 1000}-{number * 1000 + 999_999}")
        answers.append(body == CONTENT[number * 1000 : number * 1000 + 1_000_000])

    clients = [threading.Thread(target=client, args=(number,)) for number in range(12)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    assert answers == [True] * 12


@pytest.mark.parametrize(
    "range_", [f"bytes={SIZE}-", "bytes=9-8", "lines=1-2", "bytes=0-1,3-4", None]
)
def test_a_range_that_cannot_be_given(origin: Origin, range_: str | None) -> None:
    response, _ = _ask(origin, range_)
    assert response.status == 416
    assert response.headers["Content-Range"] == f"bytes */{SIZE}"


def test_head_tells_the_size(origin: Origin) -> None:
    response, body = _ask(origin, None, "HEAD")
    assert (response.status, response.headers["Content-Length"], body) == (200, str(SIZE), b"")
    assert response.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer guess"},
        {"Authorization": ""},
        {"Authorization": "Bearer \xff"},
    ],
)
def test_a_stranger_is_sent_away(origin: Origin, headers: dict[str, str]) -> None:
    for path in (PATH, "/"):
        response, body = _ask(origin, path=path, headers=headers)
        assert (response.status, body) == (401, b"")
    assert origin.served == 0


def test_every_origin_has_a_bearer_and_a_port_of_its_own(source: ModelSource) -> None:
    origins = [Origin(source, 1) for _ in range(3)]
    for origin in origins:
        origin.start()
    assert len({origin.headers["Authorization"] for origin in origins}) == 3
    assert len({origin.location for origin in origins}) == 3
    assert _ask(origins[0], headers=origins[1].headers)[0].status == 401
    for origin in origins:
        origin.stop()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/../etc/passwd", 404), ("GET", PATH + "?x", 404)]
    + [(method, PATH, 405) for method in ("POST", "PUT", "DELETE", "OPTIONS")],
)
def test_there_is_one_thing_and_it_can_only_be_got(
    origin: Origin, method: str, path: str, status: int
) -> None:
    assert _ask(origin, method=method, path=path)[0].status == status


def _head(origin: Origin, range_: str, more: str = "") -> bytes:
    proof = f"Authorization: {origin.headers['Authorization']}"
    return f"GET {PATH} HTTP/1.1\r\n{proof}\r\nRange: {range_}\r\n{more}\r\n".encode()


def _all(raw: socket.socket) -> bytes:
    received = b""
    while more := raw.recv(65536):
        received += more
    return received


@pytest.mark.parametrize(
    "raw",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        b"GET http://x HTTP/2.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * (2 * LONGEST_HEAD),
    ],
)
def test_what_is_no_proper_request_ends_the_connection(origin: Origin, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", _port(origin)), 10) as connection:
        connection.sendall(raw)
        try:
            answer = _all(connection)
        except ConnectionResetError:  # it did not want to hear the rest
            return
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_a_crowd_is_sent_away(origin: Origin) -> None:
    crowd = [
        socket.create_connection(("127.0.0.1", _port(origin)), 10)
        for _ in range(MOST_CONNECTIONS + 1)
    ]
    assert crowd[-1].recv(1) == b""
    crowd[0].sendall(_head(origin, "bytes=0-3", "Connection: close\r\n"))
    assert _all(crowd[0]).endswith(CONTENT[:4])
    for connection in crowd:
        connection.close()


def test_a_request_is_held_for_as_long_as_was_said(source: ModelSource, origin: Origin) -> None:
    _ask(origin)
    (deadline,) = source.deadlines
    assert 270 < deadline - time.monotonic() <= 280


@pytest.mark.parametrize("error", [NetworkError("no route"), Unavailable("answered 500")])
def test_what_may_pass_is_a_503_once_and_what_comes_then_is_held_but_briefly(
    source: ModelSource, origin: Origin, error: AgentError
) -> None:
    source.error = error
    assert _ask(origin)[0].status == 503
    assert origin.failure is error
    assert _ask(origin)[0].status == 404
    assert source.deadlines[1] - time.monotonic() <= 1
    source.error = None
    assert _ask(origin)[0].status == 206
    source.error = error
    assert _ask(origin)[0].status == 503
    assert source.deadlines[3] - time.monotonic() > 270


@pytest.mark.parametrize(
    "error",
    [UpdateError("changed"), OperatorError("401"), ServerError("404"), DeviceError("spool")],
)
def test_what_is_final_is_a_404_which_rauc_does_not_repeat(
    source: ModelSource, origin: Origin, error: AgentError
) -> None:
    source.error = error
    assert _ask(origin)[0].status == 404
    assert origin.failure is error


def test_a_promise_that_cannot_be_kept_is_cut_off(origin: Origin, source: ModelSource) -> None:
    real = source.read

    def read(offset: int, length: int, deadline: float) -> bytes:
        if offset > 0:
            raise NetworkError("gone")
        return real(offset, length, deadline)

    source.read = read  # type: ignore[method-assign]  # a source that breaks off half way
    with pytest.raises(http.client.IncompleteRead):
        _ask(origin, "bytes=0-")
    assert isinstance(origin.failure, NetworkError)


def test_stopping_ends_every_connection(source: ModelSource) -> None:
    origin = Origin(source, 280)
    origin.start()
    connection = _connect(origin)
    connection.request("GET", PATH, headers={**origin.headers, "Range": "bytes=0-3"})
    connection.getresponse().read()
    origin.stop()
    with pytest.raises((ConnectionError, http.client.BadStatusLine)):
        _again(connection, origin)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", _port_was(connection)), 10)


def _again(connection: http.client.HTTPConnection, origin: Origin) -> None:
    connection.request("GET", PATH, headers=origin.headers)
    connection.getresponse()


def _port_was(connection: http.client.HTTPConnection) -> int:
    return connection.port


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_none(head: bytes) -> None:
    request = request_of(head)
    assert request is None or request.method.isalpha()


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20))
def test_a_request_says_what_it_says(value: str) -> None:
    head = f"GET /x HTTP/1.1\r\nX-Value:  {value}\t\r\nConnection: Close".encode()
    expected = {"x-value": value, "connection": "Close"}
    assert request_of(head) == Request("GET", "/x", expected, last=True)


def test_http_1_0_means_one_request() -> None:
    one, other = request_of(b"GET / HTTP/1.0\r\nA: b"), request_of(b"GET / HTTP/1.1\r\nA: b")
    assert one is not None
    assert other is not None
    assert (one.last, other.last) == (True, False)
