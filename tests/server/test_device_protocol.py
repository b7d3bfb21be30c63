"""DDI as stock clients and our agent use it, against the application.

The names C1 to C20 are those of the conformance cases that the clients' behaviour calls for.
"""

from __future__ import annotations

import hashlib
import re
import threading
from typing import Any

import pytest

from flipside_server.action import MOST_STATUSES, State
from flipside_server.orders import Subject
from flipside_server.target import Target
from models.ddi_device import FIRMWARE, Device, House


def test_an_idle_poll_says_how_long_to_sleep_and_asks_who_you_are(device: Device) -> None:
    answer = device.get()
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json;charset=UTF-8"
    assert answer.json == {
        "config": {"polling": {"sleep": "00:00:30"}},
        "_links": {"configData": {"href": device.base() + "/configData"}},
    }


def test_a_poll_without_anything_to_do_has_no_links(device: Device) -> None:
    device.call("PUT", "/configData", {"data": {"hw": "rpi4"}})
    assert "_links" not in device.get().json


def test_a_poll_writes_nothing_but_is_seen(house: House, device: Device) -> None:
    before = house.written()
    assert house.show(Subject.TARGETS)[0]["last_seen"] is None
    for _ in range(20):
        device.get()
    polled = house.now
    assert house.written() == before
    assert house.show(Subject.TARGETS)[0]["last_seen"] == polled


def test_c2_config_data_merges_unasked_and_ignores_what_it_does_not_know(
    house: House, device: Device
) -> None:
    device.call("PUT", "/configData", {"data": {"a": "1"}})
    body = {"id": "", "time": "x", "status": {"execution": "closed"}, "data": {"b": "2"}}
    answer = device.call("PUT", "/configData", body)
    assert (answer.status, answer.body) == (200, b"")
    assert house.show(Subject.TARGETS)[0]["attributes"] == {"a": "1", "b": "2"}
    device.call("PUT", "/configData", {"mode": "replace", "data": {"c": "3"}})
    assert house.show(Subject.TARGETS)[0]["attributes"] == {"c": "3"}


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"\xff\xff", b"[" * 100_000, b'{"data":{}}'])
def test_c17_a_malformed_body_is_told_in_json(device: Device, body: bytes) -> None:
    answer = device.call("PUT", "/configData", body)
    assert answer.status == 400
    assert set(answer.json) == {"exceptionClass", "errorCode", "message"}
    assert answer.json["errorCode"] == "hawkbit.server.error.rest.body.notReadable"


def test_c4_an_action_id_is_a_small_decimal_in_a_string(house: House) -> None:
    label = house.release("1.0")
    ids = []
    for name in ["a", "b", "c"]:
        device = house.device(name)
        key = house.assign(name, label)
        assert device.get(f"/deploymentBase/{key}").json["id"] == str(key)
        ids.append(key)
    assert len(set(ids)) == 3
    assert all(0 < key < 2**31 for key in ids)


def test_an_offer_tells_everything_that_either_client_wants(house: House, device: Device) -> None:
    key = house.assign("pi-1", house.release("1.0", flipside_manifest_hash="ignored"))
    href = device.poll()["deploymentBase"]["href"]
    assert re.fullmatch(re.escape(device.base()) + rf"/deploymentBase/{key}\?c=-?\d+", href)
    where = f"{device.base()}/softwaremodules/1/artifacts/fw.raucb"
    assert device.get(href).json == {
        "id": str(key),
        "deployment": {
            "download": "forced",
            "update": "forced",
            "chunks": [
                {
                    "part": "os",
                    "version": "1.0",
                    "name": "os",
                    "metadata": [{"key": "flipside.manifest.hash", "value": "ignored"}],
                    "artifacts": [
                        {
                            "filename": "fw.raucb",
                            "hashes": {
                                "sha1": hashlib.sha1(FIRMWARE).hexdigest(),
                                "md5": hashlib.md5(FIRMWARE).hexdigest(),
                                "sha256": hashlib.sha256(FIRMWARE).hexdigest(),
                            },
                            "size": len(FIRMWARE),
                            "_links": {
                                "download-http": {"href": where},
                                "md5sum-http": {"href": where + ".MD5SUM"},
                            },
                        }
                    ],
                }
            ],
        },
    }


def test_c5_an_offer_can_be_read_any_number_of_times(
    house: House, device: Device, action: int
) -> None:
    href = device.poll()["deploymentBase"]["href"]
    for path in [href, f"/deploymentBase/{action}", f"/deploymentBase/{action}?c=1"]:
        assert device.get(path).json["id"] == str(action)
    device.report(action, "proceeding", "none", "installed, waiting for the reboot")
    assert device.poll()["deploymentBase"]["href"] == href
    assert device.get(href).status == 200
    kinds = [status["kind"] for status in house.action(action)["statuses"]]
    assert kinds == ["running", "retrieved", "running"]


@pytest.mark.parametrize("sender", [{"id": "1"}, {"id": 1}, {}, {"id": "999"}])
@pytest.mark.parametrize("when", [{"time": "20261123T081755"}, {"timestamp": 1627997501890}, {}])
def test_c6_feedback_in_every_dialect(
    house: House, device: Device, action: int, sender: Any, when: Any
) -> None:
    body = {**sender, **when, "status": {"execution": "proceeding"}}
    for result in [{"finished": "none"}, {"finished": "none", "progress": {"cnt": 0, "of": 0}}]:
        body["status"] = {**body["status"], "result": result, "details": ["step"]}
        answer = device.call("POST", f"/deploymentBase/{action}/feedback", body)
        assert (answer.status, answer.body) == (200, b"")
    assert house.action(action)["statuses"][-1]["messages"] == ["step"]


@pytest.mark.parametrize(
    ("finished", "state"), [("success", "finished"), ("none", "finished"), ("failure", "error")]
)
def test_c7_a_closed_action_is_over_at_once(
    house: House, device: Device, action: int, finished: str, state: str
) -> None:
    device.call("PUT", "/configData", {"data": {"v": "0"}})
    assert device.report(action, "closed", finished, "the reason").status == 200
    assert house.action(action)["state"] == state
    assert house.action(action)["statuses"][-1]["messages"] == ["the reason"]
    links = device.poll()
    assert "deploymentBase" not in links
    assert ("configData" in links) == (state == "finished")
    for execution in ["proceeding", "closed"]:
        late = device.report(action, execution, finished)
        assert (late.status, late.body) == (410, b"")
    assert device.get(f"/deploymentBase/{action}").status == 404


def test_what_is_installed_can_be_read_again(device: Device, action: int) -> None:
    offer = device.get(f"/deploymentBase/{action}").json
    assert device.get(f"/installedBase/{action}").status == 404
    device.report(action, "closed", "success")
    assert device.get(device.poll()["installedBase"]["href"]).json == offer


def test_c9_the_device_drops_what_the_operator_cancels(
    house: House, device: Device, action: int
) -> None:
    house.cancel(action)
    links = device.poll()
    assert "deploymentBase" not in links
    assert links["cancelAction"]["href"] == f"{device.base()}/cancelAction/{action}"
    asked = device.get(links["cancelAction"]["href"])
    assert asked.json == {"id": str(action), "cancelAction": {"stopId": str(action)}}
    assert device.get(f"/deploymentBase/{action}").status == 404
    for _ in range(2):
        assert device.answer_cancel(action, "closed").status == 200
    assert house.action(action)["state"] == "canceled"
    assert "cancelAction" not in device.poll()
    assert device.report(action, "closed", "success").status == 410


def test_c9_the_device_refuses_and_goes_on(house: House, device: Device, action: int) -> None:
    house.cancel(action)
    assert device.answer_cancel(action, "rejected", "none").status == 200
    assert "deploymentBase" in device.poll()
    assert device.answer_cancel(action, "closed").status == 405
    assert device.report(action, "closed", "success").status == 200
    assert house.action(action)["state"] == "finished"


def test_an_update_that_ends_while_it_is_canceled_has_ended(
    house: House, device: Device, action: int
) -> None:
    house.cancel(action)
    assert device.report(action, "closed", "failure").status == 200
    assert house.action(action)["state"] == "error"
    assert device.get(f"/cancelAction/{action}").status == 404


def test_a_newer_assignment_takes_back_the_older(house: House, device: Device, action: int) -> None:
    newer = house.assign("pi-1", house.release("2.0"))
    assert device.poll()["cancelAction"]["href"].endswith(f"/{action}")
    device.answer_cancel(action, "closed")
    assert f"/deploymentBase/{newer}?" in device.poll()["deploymentBase"]["href"]


def test_assigning_what_is_under_way_changes_nothing(house: House, action: int) -> None:
    assert house.assign("pi-1", "os:1.0") == action
    assert len(house.show(Subject.ACTIONS)) == 1


def test_what_ended_can_be_assigned_again(house: House, device: Device, action: int) -> None:
    device.report(action, "closed", "failure")
    assert house.assign("pi-1", "os:1.0") != action


def test_c10_the_whole_artifact_and_its_validators(device: Device, action: int) -> None:
    href = device.download(action)
    for method, body in [("GET", FIRMWARE), ("HEAD", b"")]:
        answer = device.call(method, href)
        assert (answer.status, answer.body) == (200, body)
        assert answer.headers["etag"] == f'"{hashlib.sha1(FIRMWARE).hexdigest()}"'
        assert answer.headers["content-length"] == str(len(FIRMWARE))
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"] == "attachment;filename=fw.raucb"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["last-modified"].endswith("GMT")


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [("0-3", 0, 4), ("16000-", 16000, 16384), ("-100", 16284, 16384), ("10-99999", 10, 16384)],
)
def test_c10_one_range(device: Device, action: int, wanted: str, start: int, stop: int) -> None:
    answer = device.get(device.download(action), Range=f"bytes={wanted}")
    assert (answer.status, answer.body) == (206, FIRMWARE[start:stop])
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/16384"
    assert answer.headers["content-length"] == str(stop - start)


@pytest.mark.parametrize("wanted", ["bytes=16384-", "bytes=abc", "items=0-1"])
def test_c10_a_range_beyond_the_end(device: Device, action: int, wanted: str) -> None:
    answer = device.get(device.download(action), Range=wanted)
    assert (answer.status, answer.body) == (416, b"")
    assert answer.headers["content-range"] == "bytes */16384"


def test_c10_conditions(device: Device, action: int) -> None:
    href = device.download(action)
    etag = device.get(href).headers["etag"]
    one = {"Range": "bytes=0-9"}
    assert device.get(href, **one, **{"If-Range": etag}).status == 206
    assert device.get(href, **one, **{"If-Range": '"stale"'}).body == FIRMWARE
    # hawkBit answers 412 to its own ETag; RFC 9110 says that the range is served.
    assert device.get(href, **one, **{"If-Match": etag}).status == 206
    assert device.get(href, **one, **{"If-Match": '"stale"'}).status == 412
    head = device.call("HEAD", href, headers=one)
    assert (head.status, head.headers["content-length"]) == (200, str(len(FIRMWARE)))


def test_c10_several_ranges_come_in_parts(device: Device, action: int) -> None:
    answer = device.get(device.download(action), Range="bytes=0-9,100-109,-5")
    assert answer.status == 206
    assert answer.headers["content-length"] == str(len(answer.body))
    kind, _, boundary = answer.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/byteranges"
    first, *parts, last = answer.body.split(f"\r\n--{boundary}".encode())
    assert (first, last) == (b"", b"--\r\n")
    head = "\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {}/16384\r\n\r\n"
    assert parts == [
        head.format("0-9").encode() + FIRMWARE[:10],
        head.format("100-109").encode() + FIRMWARE[100:110],
        head.format("16379-16383").encode() + FIRMWARE[-5:],
    ]


def test_c10_several_large_ranges_come_in_bounded_pieces(house: House, device: Device) -> None:
    content = bytes(7) + b"end" * 1_000_000
    key = house.assign("pi-1", house.release("1.0", content))
    answer = device.get(device.download(key), Range="bytes=0-1400000,1500000-2900000")
    assert answer.status == 206
    assert answer.largest_block < 1 << 20
    assert content[1_500_000:2_900_001] in answer.body


def test_c10_what_the_client_has_is_not_sent_again(device: Device, action: int) -> None:
    href = device.download(action)
    etag = device.get(href).headers["etag"]
    for known in [etag, f"W/{etag}", f'"other", {etag}', "*"]:
        answer = device.get(href, **{"If-None-Match": known})
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", etag)
    assert device.get(href, **{"If-None-Match": '"other"'}).status == 200


def test_a_large_artifact_comes_in_bounded_pieces(house: House, device: Device) -> None:
    content = bytes(7) + b"end" * 1_000_000
    key = house.assign("pi-1", house.release("1.0", content))
    answer = device.get(device.download(key))
    assert answer.body == content
    assert answer.largest_block < 1 << 20


def test_the_md5sum_beside_an_artifact(device: Device, action: int) -> None:
    answer = device.get(device.artifact(action)["_links"]["md5sum-http"]["href"])
    assert answer.headers["content-type"] == "text/plain;charset=UTF-8"
    assert answer.body.decode() == f"{hashlib.md5(FIRMWARE).hexdigest()}  fw.raucb"


def test_an_artifact_is_for_its_targets_alone(house: House, device: Device, action: int) -> None:
    stranger = house.device("stranger")
    href = device.download(action).replace("pi-1", "stranger")
    assert stranger.get(href).status == 404
    assert stranger.get(device.download(action)).status == 401
    assert device.get(device.download(action).replace("fw.raucb", "none.bin")).status == 404
    assert device.get(device.download(action).replace("/1/", "/2/")).status == 404


def test_an_artifact_that_is_gone_from_the_disk_is_the_servers_fault(
    house: House, device: Device, action: int
) -> None:
    href = device.download(action)
    for file in (house.path / "artifacts").glob("*/*"):
        file.unlink()
    answer = device.get(href)
    assert answer.status == 500
    assert "cannot be read" in answer.json["message"]


def test_c13_hrefs_follow_the_host_and_scheme_that_was_asked(device: Device, action: int) -> None:
    url = device.base().replace("http://flipside.test", "https://[fd00::1]:8443")
    links = device.get(url).json["_links"]
    assert links["configData"]["href"] == url + "/configData"
    offer = device.get(links["deploymentBase"]["href"]).json
    found = offer["deployment"]["chunks"][0]["artifacts"][0]["_links"]
    assert set(found) == {"download", "md5sum"}
    assert found["download"]["href"].startswith("https://[fd00::1]:8443/DEFAULT/")


@pytest.mark.parametrize("host", ["", "a b", 'x"><script>', "evil@host", "host:port", "a" * 300])
def test_a_host_that_is_none_gets_into_no_href(device: Device, host: str) -> None:
    assert device.get("", Host=host).status == 400


@pytest.mark.parametrize(
    "header", ["", "TargetToken wrong-wrong-wrong-wrong", "GatewayToken {}", "targettoken {}"]
)
def test_c14_no_token_no_entry(device: Device, header: str) -> None:
    answer = device.get("", Authorization=header.format(device.token))
    assert (answer.status, answer.body) == (401, b"")


def test_c14_another_targets_token_is_no_entry(house: House, device: Device) -> None:
    other = house.device("pi-2")
    answer = device.get("", Authorization=f"TargetToken {other.token}")
    assert (answer.status, answer.body) == (401, b"")


def test_c1_an_unknown_target_is_not_let_in_and_not_registered(
    house: House, device: Device
) -> None:
    ghost = Device(house, "ghost", device.token)
    assert (ghost.get().status, ghost.get().body) == (401, b"")
    assert len(house.show(Subject.TARGETS)) == 1


@pytest.mark.parametrize("tenant", ["default", "DEFAULT", "Default"])
def test_c15_the_tenant_in_any_letter_case_is_echoed(device: Device, tenant: str) -> None:
    device.tenant = tenant
    assert f"/{tenant}/controller/" in device.poll()["configData"]["href"]


def test_another_tenant_is_no_entry(device: Device) -> None:
    device.tenant = "OTHER"
    assert device.get().status == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/deploymentBase/{}"),
        ("GET", "/installedBase/{}"),
        ("GET", "/cancelAction/{}"),
        ("POST", "/deploymentBase/{}/feedback"),
        ("POST", "/cancelAction/{}/feedback"),
    ],
)
def test_c16_only_ones_own_actions(
    house: House, device: Device, action: int, method: str, path: str
) -> None:
    body = {"status": {"execution": "closed", "result": {"finished": "success"}}}
    stranger = house.device("stranger")
    assert stranger.call(method, path.format(action), body).status == 404
    unknown = device.call(method, path.format(999999), body)
    assert unknown.status == 404
    assert unknown.json["errorCode"] == "hawkbit.server.error.repo.entityNotFound"
    for nonsense in ["abc", "-1", "1.0", "9" * 30]:
        assert device.call(method, path.format(nonsense), body).status == 400
    assert house.action(action)["state"] == "open"


@pytest.mark.parametrize("path", ["/nothing", "/deploymentBase", "/configData", "/../../x", "//"])
def test_c17_what_does_not_exist_is_told_in_json_without_echo(device: Device, path: str) -> None:
    answer = device.get(path + "<script>")
    assert answer.status in (404, 405)
    assert b"script" not in answer.body
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json["message"]


def test_c18_a_flood_of_feedback_is_cut_but_never_refused(
    house: House, device: Device, action: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_STATUSES == 1000
    monkeypatch.setattr("flipside_server.action.MOST_STATUSES", 60)
    for _ in range(80):
        assert device.report(action, "proceeding").status == 200
    full = house.written()
    assert device.report(action, "proceeding").status == 200
    assert house.written() == full
    assert device.report(action, "closed", "failure", "the end").status == 200
    told = house.action(action)
    assert told["state"] == "error"
    assert told["statuses"][-1]["messages"] == ["the end"]
    assert len(told["statuses"]) == 61


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json;charset=UTF-8", "application/json"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("application/hal+json", "application/hal+json"),
    ],
)
def test_c19_json_by_either_name(device: Device, accept: str, kind: str) -> None:
    answer = device.get("", Accept=accept)
    assert answer.headers["content-type"] == f"{kind};charset=UTF-8"
    assert answer.json["config"]


def test_c20_reports_in_flight_never_lose_the_closing_one(house: House) -> None:
    label = house.release("1.0")
    for number in range(20):
        device = house.device(f"pi-{number}")
        key = house.assign(device.name, label)
        start = threading.Barrier(4)

        def send(
            execution: str, device: Device = device, key: int = key, start: Any = start
        ) -> None:
            start.wait()
            assert device.report(key, execution, "success").status in (200, 410)

        kinds = ["proceeding", "proceeding", "downloaded", "closed"]
        threads = [threading.Thread(target=send, args=(kind,)) for kind in kinds]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told = house.action(key)
        assert told["state"] == State.FINISHED
        assert told["statuses"][-1]["kind"] == "finished"


def test_attributes_and_an_update_at_once_lose_neither(house: House, device: Device) -> None:
    for version in range(20):
        key = house.assign("pi-1", house.release(str(version)))
        body = {"data": {"round": str(version)}}
        threads = [
            threading.Thread(target=device.call, args=("PUT", "/configData", body)),
            threading.Thread(target=device.report, args=(key, "closed", "success")),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (target,) = house.store.find(Target, "controller_id", "pi-1")
        assert (target.installed, target.attributes["round"]) == (key, str(version))


def test_everything_is_there_after_a_restart(house: House, device: Device, action: int) -> None:
    device.call("PUT", "/configData", {"data": {"a": "1"}})
    device.report(action, "proceeding", "none", "half")
    shown = [house.show(subject) for subject in (Subject.ACTIONS, Subject.ARTIFACTS)]
    house.store.close()
    house.open()
    assert [house.show(subject) for subject in (Subject.ACTIONS, Subject.ARTIFACTS)] == shown
    assert device.get(f"/deploymentBase/{action}").status == 200
    assert device.report(action, "closed", "success").status == 200
    assert house.show(Subject.TARGETS)[0]["installed"] == "os:1.0"
