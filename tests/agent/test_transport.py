"""HTTP and TLS against real sockets: who is trusted, who is blamed, who sees the credentials."""

from __future__ import annotations

import datetime
import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flipside_agent.address import address_of
from flipside_agent.errors import AgentError, NetworkError, OperatorError, ServerError, Unavailable
from flipside_agent.transport import (
    LONGEST_RETRY_AFTER,
    Answer,
    Identity,
    Link,
    Transport,
    check_status,
    read_whole,
    retry_after,
)
from models.authority import NOW, Authority, server_side
from models.web import Mood, Web

TOKEN = "TargetToken 0123456789"
FOREVER = 1e9


@pytest.fixture(name="web")
def _web() -> Iterator[Web]:
    web = Web()
    web.say("GET", "/x", {"a": 1})
    web.switch_on()
    yield web
    web.switch_off()


@pytest.fixture(name="authorities", scope="module")
def _authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Authority, Authority]:
    folder = tmp_path_factory.mktemp("tls")
    return Authority(folder, "ours"), Authority(folder, "theirs")


def _link(url: str, own: str = "", patience: float = 5, **proof: Path | None) -> Link:
    """Return a link to a URL, of a device whose server is ``own`` (or the same)."""
    here, home = address_of(url), address_of(own or url)
    assert here is not None
    assert home is not None
    return Transport(Identity(home.site, TOKEN, **proof), patience).link(here.site)


def _get(link: Link, limit: int = 1000) -> Answer:
    try:
        return read_whole(link.ask("GET", "/x"), link.site, limit, FOREVER)
    finally:
        link.close()


def _secure(certificate: Path, clients: Path | None = None) -> Web:
    web = Web(server_side(certificate, clients))
    web.say("GET", "/x", {"a": 1})
    web.switch_on()
    return web


def test_an_answer_comes_with_its_headers(web: Web) -> None:
    web.say("GET", "/x", {"a": 1}, headers={"X-Kind": "b"})
    answer = _get(_link(web.url))
    assert answer == Answer(200, answer.headers, b'{"a": 1}')
    assert answer.headers["x-kind"] == "b"


def test_the_configured_site_sees_the_credentials(web: Web) -> None:
    _get(_link(web.url))
    assert web.seen[0].headers["authorization"] == TOKEN


@pytest.mark.parametrize(
    "own", ["http://127.0.0.1:1/", "https://127.0.0.1:{port}/", "http://h:{port}/"]
)
def test_another_port_scheme_or_host_does_not(web: Web, own: str) -> None:
    port = web.url.rpartition(":")[2]
    _get(_link(web.url, own.format(port=port)))
    assert "authorization" not in web.seen[0].headers


def test_no_credentials_in_a_repr(web: Web) -> None:
    address = address_of(web.url)
    assert address is not None
    assert "0123" not in repr(Identity(address.site, TOKEN))


def test_a_kept_connection_that_was_closed_meanwhile_is_made_again(web: Web) -> None:
    link = _link(web.url)
    for _ in range(2):
        assert read_whole(link.ask("GET", "/x"), link.site, 1000, FOREVER).status == 200
    web.switch_off()
    web.switch_on()
    assert read_whole(link.ask("GET", "/x"), link.site, 1000, FOREVER).status == 200
    link.close()


def test_a_server_that_is_off_is_the_networks_fault(web: Web) -> None:
    web.switch_off()
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1:\d+ cannot be reached"):
        _get(_link(web.url))


def test_a_name_nobody_knows_is_the_networks_fault() -> None:
    with pytest.raises(NetworkError, match=r"nowhere\.invalid cannot be reached"):
        _get(_link("http://nowhere.invalid/"))


def test_a_server_that_says_nothing_is_the_networks_fault(web: Web) -> None:
    web.mood = Mood.SILENT
    with pytest.raises(NetworkError, match="did not answer in time"):
        _get(_link(web.url, patience=0.05))


def test_half_an_answer_is_the_networks_fault(web: Web) -> None:
    web.mood = Mood.HALF
    with pytest.raises(NetworkError, match="broke off"):
        _get(_link(web.url))


def test_garbage_is_the_servers_fault(web: Web) -> None:
    web.mood = Mood.GARBAGE
    with pytest.raises(ServerError, match="no proper HTTP answer: BadStatusLine"):
        _get(_link(web.url))


def test_an_endless_answer_is_cut(web: Web) -> None:
    web.mood = Mood.ENDLESS
    with pytest.raises(ServerError, match="more than 100000 bytes"):
        _get(_link(web.url), limit=100_000)


def test_an_answer_that_drips_ends_with_its_time(web: Web) -> None:
    web.say("GET", "/x", "x" * 100_000)
    link = _link(web.url)
    clock = iter([0.0, 0.0, 2.0]).__next__
    with pytest.raises(NetworkError, match="its time was up"):
        read_whole(_Dripping(link.ask("GET", "/x")), link.site, 10**6, 1.0, clock)  # type: ignore[arg-type]  # a response as far as it is used
    link.close()


class _Dripping:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response

    def read1(self, _: int) -> bytes:
        return self._response.read1(100)


def test_abort_ends_what_waits_in_another_thread(web: Web) -> None:
    web.mood = Mood.SILENT
    link = _link(web.url, patience=60)
    errors: list[AgentError] = []

    def ask() -> None:
        try:
            link.ask("GET", "/x")
        except AgentError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    web.wait(lambda: len(web.seen) == 1)
    link.abort()
    thread.join(10)
    assert isinstance(errors[0], NetworkError)
    with pytest.raises(NetworkError, match="given up"):
        link.ask("GET", "/x")


def test_tls_with_our_own_authority(authorities: tuple[Authority, Authority]) -> None:
    ours, _ = authorities
    web = _secure(ours.issue("server"))
    assert _get(_link(web.url, ca=ours.certificate)).status == 200
    web.switch_off()


@pytest.mark.parametrize("known", ["theirs", "system"])
def test_tls_of_an_authority_that_is_not_ours(
    authorities: tuple[Authority, Authority], known: str
) -> None:
    ours, theirs = authorities
    web = _secure(ours.issue("server"))
    ca = theirs.certificate if known == "theirs" else None
    with pytest.raises(ServerError, match=r"certificate of https://.* is not to be trusted"):
        _get(_link(web.url, ca=ca))
    web.switch_off()
    assert web.seen == []


def test_tls_for_another_host(authorities: tuple[Authority, Authority]) -> None:
    ours, _ = authorities
    web = _secure(ours.issue("other-host", host="updates.example"))
    with pytest.raises(ServerError, match=r"not to be trusted: IP address mismatch"):
        _get(_link(web.url, ca=ours.certificate))
    web.switch_off()


def test_a_clock_that_stands_in_the_past_is_said_to(
    authorities: tuple[Authority, Authority],
) -> None:
    ours, _ = authorities
    web = _secure(ours.issue("from-tomorrow", since=NOW + datetime.timedelta(days=1)))
    with pytest.raises(NetworkError, match=f"clock is not set: it says {NOW:%Y-%m-%d}"):
        _get(_link(web.url, ca=ours.certificate))
    web.switch_off()
    assert web.seen == []


def test_a_certificate_that_has_expired_may_be_renewed_or_the_clock_wrong(
    authorities: tuple[Authority, Authority],
) -> None:
    ours, _ = authorities
    web = _secure(ours.issue("of-last-month", since=NOW - datetime.timedelta(days=31)))
    with pytest.raises(ServerError, match=f"has expired.*clock, which says {NOW:%Y-%m-%d}"):
        _get(_link(web.url, ca=ours.certificate))
    web.switch_off()
    assert web.seen == []


def test_a_client_certificate_opens_the_door(authorities: tuple[Authority, Authority]) -> None:
    ours, theirs = authorities
    web = _secure(ours.issue("server"), clients=theirs.certificate)
    card = theirs.issue("device-7")
    assert _get(_link(web.url, ca=ours.certificate, certificate=card)).status == 200
    web.switch_off()


@pytest.mark.parametrize("card", [None, "wrong"])
def test_no_client_certificate_or_a_wrong_one_does_not(
    authorities: tuple[Authority, Authority], card: str | None
) -> None:
    ours, theirs = authorities
    web = _secure(ours.issue("server"), clients=theirs.certificate)
    certificate = ours.issue("stranger") if card else None
    with pytest.raises(OperatorError, match="does not accept this device's certificate"):
        _get(_link(web.url, ca=ours.certificate, certificate=certificate))
    web.switch_off()


def test_the_client_certificate_is_not_shown_to_another_site(
    authorities: tuple[Authority, Authority],
) -> None:
    ours, theirs = authorities
    web = _secure(ours.issue("server"), clients=theirs.certificate)
    card = theirs.issue("device-7")
    with pytest.raises(OperatorError, match="does not accept this device's certificate"):
        _get(_link(web.url, "https://127.0.0.1:1/", ca=ours.certificate, certificate=card))
    web.switch_off()


def test_tls_spoken_to_a_plain_server(web: Web) -> None:
    with pytest.raises(NetworkError, match=r"TLS with https://.* failed"):
        _get(_link(web.url.replace("http:", "https:")))


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_tls_files_that_cannot_be_used_are_named(tmp_path: Path, content: str | None) -> None:
    ca = tmp_path / "ca.pem"
    if content is not None:
        ca.write_text(content)
    with pytest.raises(OperatorError, match=f"the TLS files {ca} cannot be used"):
        _link("https://127.0.0.1:1/", ca=ca)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (302, ServerError, "a redirect to 'http://evil/': redirects are not followed"),
        (304, ServerError, "redirect"),
        (400, ServerError, "answered 400 to the poll"),
        (401, OperatorError, "does not accept this device's name or credentials"),
        (403, OperatorError, "does not accept"),
        (404, ServerError, "answered 404"),
        (429, Unavailable, "answered 429"),
        (500, Unavailable, "answered 500"),
        (503, Unavailable, "answered 503"),
    ],
)
def test_every_status_is_somebodys_fault(status: int, error: type[AgentError], words: str) -> None:
    address = address_of("https://h")
    assert address is not None
    with pytest.raises(error, match=words) as caught:
        check_status(status, {"location": "http://evil/"}, address.site, "the poll")
    assert type(caught.value) is error
    assert "https://h" in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        *(("7", 7), ("", 0), ("soon", 0), ("-5", 0), ("1e9", 0), ("٣", 0)),
        ("99999999999999", LONGEST_RETRY_AFTER),
        ("Mon, 23 Nov 2026 12:01:30 GMT", 90),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0),
        ("Tue, 24 Nov 2026 12:00:00 GMT", LONGEST_RETRY_AFTER),
    ],
)
def test_retry_after_in_seconds_or_by_the_servers_own_clock(asked: str, seconds: float) -> None:
    headers = {"retry-after": asked, "date": "Mon, 23 Nov 2026 12:00:00 GMT"}
    assert retry_after(headers) == seconds


def test_retry_after_a_date_without_the_servers_clock_says_nothing() -> None:
    assert retry_after({"retry-after": "Mon, 23 Nov 2026 12:01:30 GMT"}) == 0
