"""The conformance cases C1 to C20: what stock clients send, and what they need to be answered.

The clients are models of rauc-hawkbit-updater and SWUpdate as they were seen on the wire.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from typing import Any

import pytest

from flipside_server.action import MOST_STATUSES, State
from flipside_server.admission import Policy
from flipside_server.credentials import proof
from flipside_server.errors import OperatorError
from flipside_server.orders import Subject
from flipside_server.target import Target
from flipside_server.terms import Terms, Urgency
from flipside_server.window import checked_window
from models.ddi_device import FIRMWARE, OFTEN, Device, House
from models.stock_clients import RaucHawkbitUpdater, SWUpdate, interval

GATEWAY = "gateway-gateway-gateway"
OPEN_HOUSE = replace(OFTEN, admission=Policy(gateway=proof(GATEWAY)))
NIGHTLY = Terms(window=checked_window("03:00", "01:00:00", "+00:00"))
CLOSED, OPEN, NEXT_NOON = 1_795_392_000_000, 1_795_404_600_000, 1_795_435_200_000
"""Midnight, half past three and noon of one day, in milliseconds since 1970."""


@pytest.fixture(name="newcomer")
def _newcomer(house: House) -> Device:
    """A device that the server does not know, behind a gateway."""
    house.serve(OPEN_HOUSE)
    return Device(house, "new-1", "", headers={"Authorization": f"GatewayToken {GATEWAY}"})


def test_c1_the_first_poll_registers(house: House, newcomer: Device) -> None:
    first = newcomer.get()
    assert first.status == 200
    assert 0 < interval(first.json) <= 86399
    assert first.json["_links"] == {"configData": {"href": newcomer.base() + "/configData"}}
    assert house.target("new-1")["state"] == "registered"
    assert newcomer.get().json == first.json
    assert len(house.show(Subject.TARGETS)) == 1


def test_c1_confirmation_base_registers_and_nothing_else_does(
    house: House, newcomer: Device
) -> None:
    for method, place in [("GET", "/deploymentBase/1"), ("PUT", "/configData")]:
        assert newcomer.call(method, place, {"data": {"a": "1"}}).status == 404
    assert house.show(Subject.TARGETS) == []
    assert newcomer.get("/confirmationBase").status == 200
    assert house.target("new-1")


def test_c1_sixteen_first_polls_at_once_make_one_target(house: House, newcomer: Device) -> None:
    for number in range(10):
        device = replace(newcomer, name=f"new-{number}")
        start = threading.Barrier(16)
        seen: list[int] = []

        def ask(device: Device = device, start: Any = start, seen: Any = seen) -> None:
            start.wait()
            seen.append(device.get().status)

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == [200] * 16
        assert house.store.count(Target, "controller_id", device.name) == 1


def test_c1_a_name_that_fits_no_url_is_not_registered(house: House, newcomer: Device) -> None:
    for name in ["<script>", "a" * 129, "-x", "a b"]:
        assert replace(newcomer, name=name).get().status == 400
    assert house.show(Subject.TARGETS) == []


def test_c1_registration_can_be_off(house: House, newcomer: Device) -> None:
    closed = replace(OPEN_HOUSE.admission, registration=False)
    house.serve(replace(OPEN_HOUSE, admission=closed))
    assert newcomer.get().status == 401
    house.device("new-1")
    assert newcomer.get().status == 200


def test_c1_an_unknown_target_is_not_let_in_and_not_registered(
    house: House, device: Device
) -> None:
    ghost = Device(house, "ghost", device.token)
    assert (ghost.get().status, ghost.get().body) == (401, b"")
    assert len(house.show(Subject.TARGETS)) == 1


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


def test_c3_every_success_is_exactly_200(house: House, device: Device, action: int) -> None:
    updater = RaucHawkbitUpdater(device)
    assert updater.poll() == 30
    told = house.action(action)
    assert told["state"] == "finished"
    assert told["statuses"][-2]["messages"] == ["idle"]
    assert (updater.poll(), updater.installed) == (30, [str(action)])
    assert house.target("pi-1")["attributes"] == {"hw_boardname": "board-a"}


def test_c3_a_failure_is_told_the_same_way(house: House, device: Device, action: int) -> None:
    RaucHawkbitUpdater(device, works=False).poll()
    assert house.action(action)["state"] == "error"


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


def test_c5_an_installed_update_stays_visible_until_its_reboot(
    house: House, device: Device
) -> None:
    key = house.assign("pi-1", house.release("1.0", file="fw.swu"))
    client = SWUpdate(device)
    client.start()
    for _ in range(3):
        client.poll()
    assert (client.pending, house.action(key)["state"]) == (key, "open")
    assert client.reboot("success")
    assert house.action(key)["state"] == "finished"
    assert not client.reboot("success")


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
    ("details", "kept"),
    [
        ({}, []),
        ({"details": []}, []),
        ({"details": [""]}, []),
        ({"details": ["line"] * 48}, ["line"] * 48),
        ({"details": ["x" * 8192]}, ["x" * 512] * 16),
    ],
    ids=["missing", "none", "empty", "48 lines", "8 kB"],
)
def test_c6_details_of_every_size(
    house: House, device: Device, action: int, details: Any, kept: list[str]
) -> None:
    status = {"execution": "proceeding", "result": {"finished": "none"}, **details}
    answer = device.call("POST", f"/deploymentBase/{action}/feedback", {"status": status})
    assert (answer.status, answer.body) == (200, b"")
    assert house.action(action)["statuses"][-1]["messages"] == kept


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


def test_c8_what_is_only_to_be_downloaded(house: House, device: Device) -> None:
    only = Terms(Urgency.DOWNLOAD_ONLY)
    key = house.assign("pi-1", house.release("1.0"), only)
    device.call("PUT", "/configData", {"data": {"v": "0"}})
    updater = RaucHawkbitUpdater(device)
    updater.poll()
    assert (updater.kept, updater.installed) == (FIRMWARE, [])
    assert house.action(key)["state"] == "downloaded"
    assert house.target("pi-1")["state"] == "in_sync"
    assert set(device.poll()) == {"configData"}
    assert device.report(key, "proceeding").status == 410
    assert device.report(key, "closed", "success").status == 200
    assert house.action(key)["state"] == "finished"


def test_c8_swupdate_cannot_download_without_installing(house: House, device: Device) -> None:
    label = house.release("1.0", file="fw.swu")
    with pytest.raises(OperatorError, match="for SWUpdate, which cannot download"):
        house.assign("pi-1", label, Terms(Urgency.DOWNLOAD_ONLY))


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


@pytest.mark.parametrize("make", [RaucHawkbitUpdater, SWUpdate])
def test_c9_both_clients_drop_what_is_canceled(
    house: House, device: Device, action: int, make: Any
) -> None:
    house.cancel(action)
    client = make(device)
    client.poll()
    assert house.action(action)["state"] == "canceled"
    client.poll()
    assert "cancelAction" not in device.poll()


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


def test_c11_one_chunk_and_one_artifact_with_every_hash(
    house: House, device: Device, action: int
) -> None:
    (chunk,) = device.get(f"/deploymentBase/{action}").json["deployment"]["chunks"]
    assert {key: chunk[key] for key in ["part", "name", "version"]} == {
        "part": "os",
        "name": "os",
        "version": "1.0",
    }
    (artifact,) = chunk["artifacts"]
    assert type(artifact["size"]) is int
    for name in ["sha1", "md5", "sha256"]:
        assert artifact["hashes"][name] == hashlib.new(name, FIRMWARE).hexdigest()


def test_c12_a_closed_window_lets_rauc_clients_download(house: House, device: Device) -> None:
    key = house.assign("pi-1", house.release("1.0"), NIGHTLY)
    updater = RaucHawkbitUpdater(device)
    house.now = CLOSED
    href = device.poll()["deploymentBase"]["href"]
    shut = device.get(href).json["deployment"]
    assert (shut["update"], shut["download"]) == ("skip", "forced")
    assert shut["maintenanceWindow"] == "unavailable"
    updater.poll()
    assert (updater.kept, updater.installed) == (FIRMWARE, [])
    house.now = OPEN
    assert device.poll()["deploymentBase"]["href"] != href
    ready = device.get(href).json["deployment"]
    assert (ready["update"], ready["maintenanceWindow"]) == ("forced", "available")
    updater.poll()
    assert house.action(key)["state"] == "finished"


@pytest.mark.parametrize(("agent", "file"), [("libcurl-agent/1.0", "x.bin"), ("other", "x.swu")])
def test_c12_a_closed_window_is_not_seen_by_swupdate(
    house: House, device: Device, agent: str, file: str
) -> None:
    key = house.assign("pi-1", house.release("1.0", file=file), NIGHTLY)
    device.headers["User-Agent"] = agent
    house.now = CLOSED
    assert "deploymentBase" not in device.poll()
    assert device.get(f"/deploymentBase/{key}").status == 404
    house.now = OPEN
    assert "deploymentBase" in device.poll()


def test_c12_swupdate_ends_after_the_window_what_it_began_within(
    house: House, device: Device
) -> None:
    key = house.assign("pi-1", house.release("1.0", file="fw.swu"), NIGHTLY)
    client = SWUpdate(device)
    house.now = CLOSED
    client.poll()
    house.now = OPEN
    client.poll()
    assert client.pending == key
    house.now = NEXT_NOON
    client.poll()
    assert client.skipped == []
    assert client.reboot("failure")
    assert house.action(key)["state"] == "error"


def test_c12_a_device_is_there_when_its_window_opens(house: House, device: Device) -> None:
    house.serve(replace(OFTEN, sleep="12:00:00"))
    house.assign("pi-1", house.release("1.0"), NIGHTLY)
    house.now = CLOSED
    assert device.get().json["config"]["polling"]["sleep"] == "03:00:01"
    house.now = OPEN
    assert device.get().json["config"]["polling"]["sleep"] == "12:00:00"


def test_c13_hrefs_follow_the_host_and_scheme_that_was_asked(device: Device, action: int) -> None:
    url = device.base().replace("http://flipside.test", "https://[fd00::1]:8443")
    links = device.get(url).json["_links"]
    assert links["configData"]["href"] == url + "/configData"
    offer = device.get(links["deploymentBase"]["href"]).json
    found = offer["deployment"]["chunks"][0]["artifacts"][0]["_links"]
    assert set(found) == {"download", "md5sum"}
    assert found["download"]["href"].startswith("https://[fd00::1]:8443/DEFAULT/")


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


def test_c14_the_gateways_token_speaks_for_every_device(house: House, newcomer: Device) -> None:
    house.device("pi-1")
    assert replace(newcomer, name="pi-1").get().status == 200
    for header in ["GatewayToken wrong-wrong-wrong-wrong", f"gatewaytoken {GATEWAY}", ""]:
        wrong = replace(newcomer, name="pi-1", headers={"Authorization": header})
        unknown = replace(newcomer, name="ghost", headers={"Authorization": header})
        assert (wrong.get().status, wrong.get().body) == (401, b"")
        assert (unknown.get().status, unknown.get().body) == (401, b"")


@pytest.mark.parametrize("tenant", ["default", "DEFAULT", "Default"])
def test_c15_the_tenant_in_any_letter_case_is_echoed(device: Device, tenant: str) -> None:
    device.tenant = tenant
    assert f"/{tenant}/controller/" in device.poll()["configData"]["href"]


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


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"\xff\xff", b"[" * 100_000, b'{"data":{}}'])
def test_c17_a_malformed_body_is_told_in_json(device: Device, body: bytes) -> None:
    answer = device.call("PUT", "/configData", body)
    assert answer.status == 400
    assert set(answer.json) == {"exceptionClass", "errorCode", "message"}
    assert answer.json["errorCode"] == "hawkbit.server.error.rest.body.notReadable"


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
