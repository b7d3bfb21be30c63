"""What hawkBit says and what it is told, as values; hostile answers included."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flipside_agent import ddi, feedback
from flipside_agent.address import Site
from flipside_agent.ddi import PollLimits, Root, document_of, root_of, shown, sleep_of
from flipside_agent.deployment import offer_of
from flipside_agent.errors import ServerError, UpdateError
from flipside_agent.update import Bundle, Offer, Outcome, Verdict

LIMITS = PollLimits(shortest=5, longest=86400, unsaid=300)
HTTPS = Site("https", "updates.example", 443)
HTTP = Site("http", "10.0.2.2", 8080)
HASH = "ab" * 32
HREF = "https://updates.example/DEFAULT/controller/v1/d1"
DEPLOYMENT: dict[str, Any] = {
    "id": "8",
    "deployment": {
        "download": "forced",
        "update": "forced",
        "chunks": [
            {
                "part": "os",
                "version": "1.0.79",
                "name": "one firmware",
                "metadata": [
                    {"key": "other", "value": "x"},
                    {"key": "flipside.manifest-hash", "value": HASH.upper()},
                ],
                "artifacts": [
                    {
                        "filename": "fw.raucb",
                        "hashes": {"sha1": "x", "sha256": "cd" * 32},
                        "size": 13,
                        "_links": {
                            "download": {"href": "https://cdn.example/fw.raucb"},
                            "download-http": {"href": "http://cdn.example/fw.raucb"},
                        },
                    }
                ],
            }
        ],
    },
    "actionHistory": {"status": "RUNNING", "messages": []},
}
OFFER = Offer(
    "8", Bundle("https://cdn.example/fw.raucb", 13, "1.0.79", "cd" * 32, manifest_hash=HASH)
)


def _linked(**links: str) -> dict[str, object]:
    return {"_links": {name: {"href": href} for name, href in links.items()}}


def test_nothing_to_do() -> None:
    document = {"config": {"polling": {"sleep": "00:05:00"}}}
    assert root_of(document, LIMITS) == Root(sleep=300)
    assert root_of({**document, "_links": {}}, LIMITS) == Root(sleep=300)


def test_a_deployment_a_cancellation_and_a_wish_for_attributes() -> None:
    deployed = _linked(deploymentBase=f"{HREF}/deploymentBase/5?c=-2127183556")
    assert root_of(deployed, LIMITS) == Root(300, deployment="5", change="-2127183556")
    canceled = _linked(cancelAction=f"{HREF}/cancelAction/6", configData=f"{HREF}/configData")
    assert root_of(canceled, LIMITS) == Root(300, cancel="6", wants_attributes=True)


def test_paths_follow_from_what_was_said() -> None:
    assert ddi.base_path("DEFAULT", "board-1") == "/DEFAULT/controller/v1/board-1"
    assert ddi.base_path("a/b", "../x y") == "/a%2Fb/controller/v1/..%2Fx%20y"
    assert ddi.deployment_path(Root(1, deployment="5", change="-7")) == "/deploymentBase/5?c=-7"
    assert ddi.deployment_path(Root(1, deployment="5")) == "/deploymentBase/5"
    assert ddi.feedback_path("5") == "/deploymentBase/5/feedback"


def test_of_a_link_only_the_action_is_used_wherever_it_leads() -> None:
    document = _linked(deploymentBase="http://evil.example/x/deploymentBase/5?c=1&d=2")
    assert root_of(document, LIMITS) == Root(300, deployment="5", change="1")


@pytest.mark.parametrize(
    "href",
    [
        *(
            "",
            "x",
            f"{HREF}/deploymentBase/",
            f"{HREF}/deploymentBase/0",
            "http://[/deploymentBase/1",
        ),
        *(
            f"{HREF}/deploymentBase/5/../6",
            f"{HREF}/deploymentBase/5a",
            f"{HREF}/deploymentBase/-5",
        ),
        *(f"{HREF}/deploymentBase/" + "9" * 30, None, 7, {"x": 1}),
    ],
)
def test_a_link_that_names_no_action_is_the_servers_fault(href: object) -> None:
    with pytest.raises(ServerError, match="deploymentBase link names no action"):
        root_of({"_links": {"deploymentBase": {"href": href}}}, LIMITS)


@pytest.mark.parametrize("change", ["1%0d%0aX", "x", "9" * 40, ""])
def test_a_strange_change_mark_is_left_out(change: str) -> None:
    document = _linked(deploymentBase=f"{HREF}/deploymentBase/5?c={change}")
    assert root_of(document, LIMITS).change == ""


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        *(("00:05:00", 300), ("00:00:30", 30), ("23:59:59", 86399), ("100:00:00", 86400)),
        *(("00:00:00", 5), ("00:00:01", 5), ("999:59:59", 86400)),
        *(("PT36H", 300), ("", 300), (None, 300), (60, 300), ("1:2", 300), ("00:99:00", 300)),
    ],
)
def test_sleep_is_clamped(said: object, seconds: float) -> None:
    assert sleep_of(said, LIMITS) == seconds


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"<html>", b"[1]", b"null", b'"x"', b"{", b"\xff\xfe{}", b'{"a":1}x'),
        *(b"[" * 90000, b'{"a":' * 90000, b'{"a":' * 25 + b"1" + b"}" * 25),
        b'{"a":' + b"1" * 10000 + b"}",
        *(b'"' + b'\\"' * 500_000, b'"' * 999_999, b'"' + b"\\" * 999_999),
    ],
)
def test_what_is_no_sound_json_object_is_the_servers_fault(raw: bytes) -> None:
    with pytest.raises(ServerError, match="the server sent"):
        document_of(raw)


def test_brackets_within_strings_are_no_levels() -> None:
    assert document_of(b'{"a": "\\"' + b"[" * 100 + b'"}') == {"a": '"' + "[" * 100}


def test_an_offer() -> None:
    assert offer_of(DEPLOYMENT, "8", HTTPS) == OFFER


def test_unknown_members_are_ignored_and_optional_ones_may_be_missing() -> None:
    document = _changed("metadata", None)
    document["deployment"]["chunks"][0]["artifacts"][0]["hashes"] = {"sha1": "x"}
    document["new"] = [1]
    document["id"] = 8
    offer = offer_of(document, "8", HTTPS)
    assert offer is not None
    assert (offer.bundle.sha256, offer.bundle.manifest_hash) == ("", "")


def _changed(name: str, value: object) -> dict[str, Any]:
    """Return the deployment with one member changed, wherever it is."""
    document = copy.deepcopy(DEPLOYMENT)
    deployment = document["deployment"]
    chunk = deployment["chunks"][0]
    artifact = chunk["artifacts"][0]
    for table in (document, deployment, chunk, artifact):
        if name in table:
            table[name] = value
            return document
    raise KeyError(name)


def test_a_closed_maintenance_window_is_no_offer_yet() -> None:
    document = _changed("update", "skip")
    document["deployment"]["maintenanceWindow"] = "unavailable"
    assert offer_of(document, "8", HTTPS) is None
    document["deployment"] |= {"update": "forced", "maintenanceWindow": "available"}
    assert offer_of(document, "8", HTTPS) == OFFER


def test_a_soft_update_is_an_offer() -> None:
    assert offer_of(_changed("update", "attempt"), "8", HTTPS) == OFFER


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("update", "skip", "download-only"),
        ("chunks", [], "0 chunks, expected exactly one"),
        ("chunks", [{}, {}], "2 chunks"),
        ("chunks", {"x": 1}, "0 chunks"),
        ("chunks", ["x"], "1 chunks, expected exactly one: a RAUC bundle"),
        ("artifacts", None, "0 artifacts"),
        ("artifacts", [{}, {}], "2 artifacts"),
        ("artifacts", [{}], "the size None"),
        ("size", "13", "the size 13"),
        ("size", True, "the size True"),
        ("size", 0, "the size 0"),
        ("size", -1, "the size -1"),
        ("size", 1.5, "the size 1.5"),
        ("size", 1 << 60, "the size"),
        ("hashes", {"sha256": "x"}, "sha256 is x, expected 64 hex digits"),
        ("hashes", {"sha256": 7}, "sha256 is 7"),
        ("metadata", {"key": "x"}, "metadata is no list"),
        ("metadata", [{"key": "flipside.manifest-hash", "value": "../x"}], "manifest-hash is ../x"),
        (
            "metadata",
            [{"key": "flipside.manifest-hash", "value": c * 64} for c in "ab"],
            "two values",
        ),
        ("_links", {}, "no download link with an https address"),
        ("_links", {"download": {"href": "ftp://x"}}, "download link is ftp://x"),
        ("_links", {"download": {"href": "https://u@h/x"}}, "expected a plain URL"),
        ("_links", {"download": {"href": 7}}, "download link is 7"),
        ("_links", {"download-http": {"href": "http://h/x"}}, "no download link with an https"),
        ("_links", {"download": {"href": "http://h/x"}}, "no download link with an https"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_the_reason(
    name: str, value: object, words: str
) -> None:
    with pytest.raises(UpdateError, match=words):
        offer_of(_changed(name, value), "8", HTTPS)


def test_behind_plain_http_a_plain_link_will_do() -> None:
    links = {"download-http": {"href": "http://10.0.2.2:8080/fw"}}
    offer = offer_of(_changed("_links", links), "8", HTTP)
    assert offer is not None
    assert offer.bundle.url == "http://10.0.2.2:8080/fw"
    with pytest.raises(UpdateError, match="no download link with a address"):
        offer_of(_changed("_links", {}), "8", HTTP)


def test_the_answer_to_another_question_is_the_servers_fault() -> None:
    with pytest.raises(ServerError, match="action 9 to a request for action 8"):
        offer_of(_changed("id", "9"), "8", HTTPS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["deployment", "chunks", "artifacts", "_links", "href", "size", "id"]),
        inner,
        max_size=4,
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["id", "deployment", "_links", "config"]), JSON, max_size=4))
def test_any_json_is_an_answer_or_somebodys_fault(document: dict[str, object]) -> None:
    document = {**document, "id": "8"}
    for parse in (lambda: root_of(document, LIMITS), lambda: offer_of(document, "8", HTTPS)):
        with suppress(ServerError, UpdateError):
            parse()


@pytest.mark.parametrize(
    ("document", "action"), [({"cancelAction": {"stopId": "11"}, "id": "11"}, "11")]
)
def test_a_cancellation(document: dict[str, object], action: str) -> None:
    assert ddi.canceled_action(document) == action


@pytest.mark.parametrize("stop", [None, "", "x", "0", "../1", "1\n", {"a": 1}])
def test_a_cancellation_of_nothing_is_the_servers_fault(stop: object) -> None:
    with pytest.raises(ServerError, match="expected a number"):
        ddi.canceled_action({"cancelAction": {"stopId": stop}})


def test_a_strangers_value_is_shown_short_and_printable() -> None:
    assert shown("a\x1b[31m\nb" + "c" * 100) == "a?[31m?b" + "c" * 56
    assert shown({"a": "\u202e"}) == "{'a': '\\u202e'}"


def _status(document: dict[str, object]) -> Any:
    json.dumps(document)
    return document["status"]


def test_progress() -> None:
    assert _status(feedback.progress("RAUC: 44 %")) == {
        "execution": "proceeding",
        "result": {"finished": "none"},
        "details": ["RAUC: 44 %"],
    }


def test_success_and_failure_with_the_check_that_failed() -> None:
    assert _status(feedback.result(Outcome(Verdict.SUCCESS, "slot B is confirmed"))) == {
        "execution": "closed",
        "result": {"finished": "success"},
        "details": ["slot B is confirmed"],
    }
    assert _status(feedback.result(Outcome(Verdict.FAILURE, "rolled back", "web.service"))) == {
        "execution": "closed",
        "result": {"finished": "failure"},
        "details": ["rolled back", "health check: web.service"],
    }


def test_a_cancellation_is_confirmed_by_a_success_or_rejected() -> None:
    for body in (
        feedback.result(Outcome(Verdict.CANCELED, "was waiting")),
        feedback.cancellation(accepted=True, reason="was waiting"),
    ):
        assert _status(body)["execution"] == "closed"
        assert _status(body)["result"] == {"finished": "success"}
    rejected = _status(feedback.cancellation(accepted=False, reason="writing already"))
    assert rejected["execution"] == "rejected"
    assert rejected["details"] == ["writing already"]


def test_long_sentences_are_split_and_bounded() -> None:
    details = _status(feedback.result(Outcome(Verdict.FAILURE, "x" * 100_000, "y")))["details"]
    assert {len(detail) for detail in details[:-1]} == {512}
    assert len(details) <= 50
    assert details[-1] == "health check: y"


def test_attributes_are_cut_to_what_hawkbit_takes() -> None:
    document = feedback.attributes({"a": "b", "k" * 200: "v\n" * 200})
    assert document == {"mode": "replace", "data": {"a": "b", "k" * 128: "v?" * 64}}
