"""Requests out of bytes: what is read, and every shape that could be taken for two requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from flipside_server.limits import Limits
from flipside_server.request import Event, Mark, Refusal, Request, RequestReader

LIMITS = Limits(head=2048, headers=20, body=1000)
HEAD = b"PUT /a/b%20c?d=%20 HTTP/1.1\r\nHost: x\r\n"


def read(data: bytes, piece: int = 0, *, streamed: bool = False) -> list[Event]:
    """What follows from the bytes, given at once or in pieces of a size."""
    reader = RequestReader(LIMITS, streamed=streamed)
    events: list[Event] = []
    for at in range(0, len(data), piece or len(data)):
        events += reader.feed(data[at : at + (piece or len(data))])
        if events and isinstance(events[-1], Refusal):
            break
    return events


def request(data: bytes, piece: int = 0) -> Request:
    (found,) = read(data, piece)
    assert isinstance(found, Request), found
    return found


def status(data: bytes, piece: int = 0) -> str:
    """The status of the refusal that these bytes meet, and nothing before it."""
    found = read(data, piece)
    assert len(found) == 1
    assert isinstance(found[0], Refusal), found
    return found[0].status[:3]


@pytest.mark.parametrize("piece", [0, 1, 7])
def test_a_request_with_a_body(piece: int) -> None:
    data = HEAD + b"Content-Type: text/x\r\nContent-Length: 5\r\nX-A: 1\r\nX-A: 2\r\n\r\nhello"
    found = request(data, piece)
    assert (found.body, found.keep) == (b"hello", True)
    assert found.environ == {
        "REQUEST_METHOD": "PUT",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "PATH_INFO": "/a/b c",
        "QUERY_STRING": "d=%20",
        "HTTP_HOST": "x",
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "5",
        "HTTP_X_A": "1,2",
    }


@pytest.mark.parametrize("piece", [0, 1])
def test_chunks_become_a_body_of_known_length(piece: int) -> None:
    data = (
        HEAD
        + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nHost: evil\r\n\r\n"
    )
    found = request(data, piece)
    assert found.body == b"abcde"
    assert found.environ["CONTENT_LENGTH"] == "5"
    assert found.environ["HTTP_HOST"] == "x"
    assert "HTTP_TRANSFER_ENCODING" not in found.environ


def test_requests_in_one_piece_keep_their_order() -> None:
    found = read(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n" + HEAD + b"Content-Length: 1\r\n\r\nz")
    assert [one.environ["PATH_INFO"] for one in found if isinstance(one, Request)] == [
        "/1",
        "/a/b c",
    ]


@pytest.mark.parametrize(
    ("version", "headers", "keep"),
    [
        (b"1.1", b"Host: x\r\n", True),
        (b"1.1", b"Host: x\r\nConnection: close\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: keep-alive\r\n", True),
        (b"1.1", b"Host: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n", False),
    ],
)
def test_who_wants_the_connection_kept(version: bytes, headers: bytes, keep: bool) -> None:
    assert request(b"GET / HTTP/" + version + b"\r\n" + headers + b"\r\n").keep is keep


def test_a_header_that_imitates_another_is_left_out() -> None:
    found = request(HEAD + b"X_Ssl_Client_Cn: victim\r\nContent_Length: 9\r\n\r\n")
    assert "HTTP_X_SSL_CLIENT_CN" not in found.environ
    assert found.environ["CONTENT_LENGTH"] == "0"


def test_the_absolute_form_is_read() -> None:
    found = request(b"GET http://x/y?z HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (found.environ["PATH_INFO"], found.environ["QUERY_STRING"]) == ("/y", "z")


SMUGGLED = {
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "two equal lengths": b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": b"Content-Length: 5, 5\r\n\r\nhello",
    "length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "chunks that are not last": b"Transfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n",
    "another coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a sign": b"Content-Length: +5\r\n\r\nhello",
    "a negative length": b"Content-Length: -5\r\n\r\nhello",
    "a hexadecimal length": b"Content-Length: 0x5\r\n\r\nhello",
    "an endless length": b"Content-Length: 99999999999999999999\r\n\r\nhello",
    "space before the colon": b"Content-Length : 5\r\n\r\nhello",
    "a folded line": b"X: a\r\n Content-Length: 5\r\n\r\nhello",
    "a line feed alone": b"X: a\nContent-Length: 5\r\n\r\nhello",
    "a carriage return alone": b"X: a\rContent-Length: 5\r\n\r\nhello",
    "a NUL": b"X: a\0\r\n\r\n",
    "two hosts": b"Host: y\r\n\r\n",
    "two credentials": b"Authorization: TargetToken a\r\nAuthorization: TargetToken b\r\n\r\n",
    "a chunk without end": b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcX0\r\n\r\n",
    "a chunk of huge size": b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    "a chunk of negative size": b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
}


@pytest.mark.parametrize("piece", [0, 1])
@pytest.mark.parametrize("name", SMUGGLED)
def test_what_could_mean_two_things_is_refused(name: str, piece: int) -> None:
    assert status(HEAD + SMUGGLED[name], piece) == "400"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"nonsense\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\n\r\n", "400"),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", "505"),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400"),
        (b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", "414"),
        (HEAD + b"A: " + b"b" * 3000 + b"\r\n\r\n", "431"),
        (HEAD + b"A: b\r\n" * 30 + b"\r\n", "431"),
        (HEAD + b"Content-Length: 1001\r\n\r\n", "413"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n7d0\r\n" + b"x" * 2000, "413"),
    ],
)
@pytest.mark.parametrize("piece", [0, 5])
def test_what_is_too_much_or_no_http(data: bytes, expected: str, piece: int) -> None:
    assert status(data, piece) == expected


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET /",
        HEAD + b"A: ",
        HEAD + b"A",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;x=",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: ",
        b"\r\n",
    ],
    ids=["address", "value", "name", "chunk extension", "trailer", "empty lines"],
)
def test_what_never_ends_is_refused_before_it_fills_the_memory(beginning: bytes) -> None:
    reader = RequestReader(LIMITS)
    endless = b"\r\n" * 50 if beginning == b"\r\n" else b"a" * 100
    events = reader.feed(beginning)
    for _ in range(30):
        if events:
            break
        events = reader.feed(endless)
    (refusal,) = events
    assert isinstance(refusal, Refusal)


def test_a_body_is_asked_for_only_if_it_will_be_taken() -> None:
    expecting = b"Expect: 100-continue\r\n"
    assert read(HEAD + expecting + b"Content-Length: 9\r\n\r\n") == [Mark.EXPECTING]
    assert status(HEAD + expecting + b"Content-Length: 9999\r\n\r\n") == "413"


def test_a_streamed_body_is_handed_on_as_it_comes() -> None:
    reader = RequestReader(LIMITS, streamed=True)
    (found,) = reader.feed(HEAD + b"Content-Length: 5000\r\n\r\n")
    assert isinstance(found, Request)
    assert reader.feed(b"a" * 4999) == [b"a" * 4999]
    assert reader.feed(b"b") == [b"b", Mark.END]
    assert reader.held == 0


@given(some.binary(max_size=400), some.integers(1, 50))
def test_any_bytes_are_a_request_or_a_refusal(data: bytes, piece: int) -> None:
    for event in read(data or b"x", piece):
        assert isinstance(event, Request | Refusal | Mark)


PIECES = (
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"\r\n",
    b"abc",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    HEAD,
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
)
PARTS = some.lists(some.sampled_from(PIECES), max_size=12).map(b"".join)


@given(PARTS, some.integers(1, 40))
def test_how_the_network_cuts_it_changes_nothing(data: bytes, piece: int) -> None:
    whole, parts = read(HEAD + data), read(HEAD + data, piece)
    if any(isinstance(one, Refusal) for one in (*whole, *parts)):
        kinds = [[type(one) for one in found] for found in (whole, parts)]
        assert kinds[0][-1] is kinds[1][-1] is Refusal
    assert [one for one in whole if isinstance(one, Request)] == [
        one for one in parts if isinstance(one, Request)
    ]
