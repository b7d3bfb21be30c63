"""The server adapter against a model of a hawkBit server, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from flipside_agent import hawkbit
from flipside_agent.address import Address, address_of
from flipside_agent.ddi import PollLimits, base_path
from flipside_agent.errors import NetworkError, OperatorError, ServerError, Unavailable
from flipside_agent.hawkbit import MOST_PROGRESS, Hawkbit
from flipside_agent.ports import Poll
from flipside_agent.transport import Identity, Transport
from flipside_agent.update import Bundle, Offer, Outcome, Update, Verdict
from models.web import Mood, Said, Web

T = TypeVar("T")
BASE = "/DEFAULT/controller/v1/board-1"
HASH = "ab" * 32
SUCCESS = Outcome(Verdict.SUCCESS, "slot B is confirmed")
CANCELED = Outcome(Verdict.CANCELED, "it was still waiting")


@pytest.fixture(name="web")
def _web() -> Iterator[Web]:
    web = Web()
    web.switch_on()
    yield web
    web.switch_off()


@pytest.fixture(name="server")
def _server(web: Web) -> Hawkbit:
    site = _address(web.url).site
    transport = Transport(Identity(site, "TargetToken abc"), patience=60)
    base = Address(site, base_path("DEFAULT", "board-1"))
    return Hawkbit(transport, base, PollLimits(shortest=1, longest=3600, unsaid=300))


def _address(url: str) -> Address:
    address = address_of(url)
    assert address is not None
    return address


def _do(story: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(story)


def _update(web: Web, action: str = "5") -> Update:
    return Update(action, Bundle(f"{web.url}/fw", 13, "2"), base="A", target="B")


def _polled(web: Web, **links: str) -> None:
    document: dict[str, object] = {"config": {"polling": {"sleep": "00:00:30"}}}
    if links:
        document["_links"] = {
            name: {"href": f"http://elsewhere{BASE}/{path}"} for name, path in links.items()
        }
    web.say("GET", BASE, document)


def _deployed(web: Web, **changes: object) -> None:
    artifact = {
        "filename": "fw.raucb",
        "hashes": {},
        "size": 13,
        "_links": {"download-http": {"href": f"{web.url}/fw"}},
    }
    chunk = {
        "part": "os",
        "version": "2",
        "name": "fw",
        "metadata": [{"key": "flipside.manifest-hash", "value": HASH}],
        "artifacts": [artifact | changes],
    }
    document = {"id": "5", "deployment": {"update": "forced", "chunks": [chunk]}}
    web.say("GET", f"{BASE}/deploymentBase/5", document)


def test_nothing_to_do(web: Web, server: Hawkbit) -> None:
    _polled(web)
    assert _do(server.poll()) == Poll(sleep=30)
    assert web.seen[0].headers["authorization"] == "TargetToken abc"
    assert web.seen[0].headers["accept"] == "application/json"


def test_an_offer_is_asked_for_at_the_configured_server_only(web: Web, server: Hawkbit) -> None:
    _polled(web, deploymentBase="deploymentBase/5?c=-17")
    _deployed(web)
    bundle = Bundle(f"{web.url}/fw", 13, "2", manifest_hash=HASH)
    assert _do(server.poll()) == Poll(sleep=30, offer=Offer("5", bundle))
    assert web.seen[1].path == f"{BASE}/deploymentBase/5?c=-17"


def test_a_wish_for_attributes_and_their_way(web: Web, server: Hawkbit) -> None:
    _polled(web, configData="configData")
    web.say("PUT", f"{BASE}/configData")
    assert _do(server.poll()).wants_attributes
    _do(server.send_attributes({"board": "qemu"}))
    sent = web.asked(f"{BASE}/configData", "PUT")[0]
    assert sent.document == {"mode": "replace", "data": {"board": "qemu"}}
    assert sent.headers["content-type"] == "application/json"


def test_a_cancellation(web: Web, server: Hawkbit) -> None:
    _polled(web, cancelAction="cancelAction/5")
    web.say("GET", f"{BASE}/cancelAction/5", {"id": "5", "cancelAction": {"stopId": "5"}})
    web.say("POST", f"{BASE}/cancelAction/5/feedback")
    assert _do(server.poll()) == Poll(sleep=30, cancel="5")
    _do(server.answer_cancel("5", accepted=False, reason="it is being written"))
    told: Any = web.asked(f"{BASE}/cancelAction/5/feedback", "POST")[0].document
    assert told["status"]["execution"] == "rejected"


@pytest.mark.parametrize("what", ["deploymentBase", "cancelAction"])
def test_what_was_withdrawn_between_two_requests_is_nothing(
    web: Web, server: Hawkbit, what: str
) -> None:
    _polled(web, **{what: f"{what}/5"})
    assert _do(server.poll()) == Poll(sleep=30)


def test_what_cannot_be_taken_is_refused_with_the_reason(web: Web, server: Hawkbit) -> None:
    _polled(web, deploymentBase="deploymentBase/5")
    _deployed(web, size="thirteen")
    poll = _do(server.poll())
    assert poll.offer is None
    assert poll.refused
    assert poll.refused.action == "5"
    assert "size thirteen" in poll.refused.reason


def test_a_report(web: Web, server: Hawkbit) -> None:
    web.say("POST", f"{BASE}/deploymentBase/5/feedback")
    _do(server.report(_update(web), SUCCESS))
    told: Any = web.asked(f"{BASE}/deploymentBase/5/feedback", "POST")[0].document
    assert told["status"]["result"] == {"finished": "success"}


def test_a_cancelled_update_is_reported_as_a_cancellation(web: Web, server: Hawkbit) -> None:
    web.say("POST", f"{BASE}/cancelAction/5/feedback")
    _do(server.report(_update(web), CANCELED))
    told: Any = web.asked(f"{BASE}/cancelAction/5/feedback", "POST")[0].document
    assert told["status"]["execution"] == "closed"


@pytest.mark.parametrize("status", [404, 410])
def test_a_report_that_nobody_wants_any_more_is_done(
    web: Web, server: Hawkbit, status: int
) -> None:
    web.answers["POST", f"{BASE}/deploymentBase/5/feedback"] = Said(status)
    _do(server.report(_update(web), SUCCESS))
    _do(server.progress("5", "still here"))
    assert [each.method for each in web.seen] == ["POST", "POST"]


def test_a_cancellation_that_nobody_asked_for_is_done(web: Web, server: Hawkbit) -> None:
    web.answers["POST", f"{BASE}/cancelAction/5/feedback"] = Said(405)
    _do(server.report(_update(web), CANCELED))
    assert [each.path for each in web.seen] == [f"{BASE}/cancelAction/5/feedback"]


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, ServerError), (401, OperatorError), (403, OperatorError), (500, Unavailable)],
)
def test_a_report_that_was_not_taken_is_an_error(
    web: Web, server: Hawkbit, status: int, error: type[Exception]
) -> None:
    web.answers["POST", f"{BASE}/deploymentBase/5/feedback"] = Said(status)
    with pytest.raises(error, match=f"answered {status}"):
        _do(server.report(_update(web), SUCCESS))


def test_progress_stops_before_the_server_has_enough_but_the_result_goes_out(
    web: Web, server: Hawkbit
) -> None:
    web.say("POST", f"{BASE}/deploymentBase/5/feedback")

    async def story() -> None:
        for number in range(MOST_PROGRESS + 5):
            await server.progress("5", f"{number}")
        await server.report(_update(web), SUCCESS)

    _do(story())
    told: Any = [s.document for s in web.asked(f"{BASE}/deploymentBase/5/feedback", "POST")]
    assert len(told) == MOST_PROGRESS + 1
    assert told[0]["status"]["execution"] == "proceeding"
    assert told[-1]["status"]["execution"] == "closed"


@pytest.mark.parametrize(
    ("mood", "error", "words"),
    [
        (Mood.BROKEN, Unavailable, "answered 500 to the poll"),
        (Mood.GARBAGE, ServerError, "no proper HTTP"),
        (Mood.HALF, NetworkError, "broke off"),
        (Mood.ENDLESS, ServerError, "more than 1048576 bytes"),
        (Mood.ELSEWHERE, ServerError, "redirects are not followed"),
    ],
)
def test_moods_of_a_server(
    web: Web, server: Hawkbit, mood: Mood, error: type[Exception], words: str
) -> None:
    _polled(web)
    web.mood = mood
    with pytest.raises(error, match=words):
        _do(server.poll())


def test_a_broken_server_says_when_to_come_back(web: Web, server: Hawkbit) -> None:
    web.mood = Mood.BROKEN
    with pytest.raises(Unavailable) as caught:
        _do(server.poll())
    assert caught.value.retry_after == 7


def test_a_server_that_knows_nothing_of_us_is_the_operators_business(server: Hawkbit) -> None:
    with pytest.raises(OperatorError, match=r"check server\.url, server\.tenant"):
        _do(server.poll())


def test_json_that_is_not_json(web: Web, server: Hawkbit) -> None:
    web.answers["GET", BASE] = Said(200, b"<html>Please log in to this hotel's network</html>")
    with pytest.raises(ServerError, match="not JSON"):
        _do(server.poll())


def test_a_silent_server_is_left_in_the_end(
    web: Web, server: Hawkbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hawkbit, "LONGEST_EXCHANGE", 0.05)
    web.mood = Mood.SILENT
    with pytest.raises(NetworkError, match="too long"):
        _do(server.poll())


def test_a_cancelled_poll_leaves_no_connection_behind(web: Web, server: Hawkbit) -> None:
    web.mood = Mood.SILENT

    async def story() -> None:
        poll = asyncio.create_task(server.poll())
        await asyncio.to_thread(web.wait, lambda: len(web.seen) == 1)
        poll.cancel()
        with pytest.raises(asyncio.CancelledError):
            await poll

    _do(story())
    web.wait(web.is_idle)
