"""DDI against the application, beyond what stock clients call for (test_clients.py)."""

from __future__ import annotations

import hashlib
import re
import threading
from typing import Any

import pytest

from flipside_server.orders import Subject
from flipside_server.target import Target
from flipside_server.tiny_store import TinyStore
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


def test_an_idle_poll_reads_no_history(
    house: House, device: Device, action: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.report(action, "closed", "failure")
    device.get()
    find, asked = TinyStore.find, []

    def watched(store: TinyStore, kind: Any, field: str, value: object) -> Any:
        asked.append(kind)
        return find(store, kind, field, value)

    monkeypatch.setattr(TinyStore, "find", watched)
    house.open()
    device.get()
    assert asked == [Target]
    house.assign("pi-1", "os:1.0")
    assert "deploymentBase" in device.poll()


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


def test_what_is_installed_can_be_read_again(device: Device, action: int) -> None:
    offer = device.get(f"/deploymentBase/{action}").json
    assert device.get(f"/installedBase/{action}").status == 404
    device.report(action, "closed", "success")
    assert device.get(device.poll()["installedBase"]["href"]).json == offer


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


@pytest.mark.parametrize("host", ["", "a b", 'x"><script>', "evil@host", "host:port", "a" * 300])
def test_a_host_that_is_none_gets_into_no_href(device: Device, host: str) -> None:
    assert device.get("", Host=host).status == 400


def test_another_tenant_is_no_entry(device: Device) -> None:
    device.tenant = "OTHER"
    assert device.get().status == 401


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
