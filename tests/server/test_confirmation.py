"""What somebody at the device has to confirm first, or has confirmed beforehand."""

from __future__ import annotations

from typing import Any

import pytest

from models.ddi_device import Device, House
from models.stock_clients import RaucHawkbitUpdater, SWUpdate


@pytest.fixture(name="waiting")
def _waiting(house: House, device: Device) -> int:
    """The id of an action that waits to be confirmed."""
    device.call("PUT", "/configData", {"data": {"v": "0"}})
    return house.assign("pi-1", house.release("1.0"), confirm=True)


def answered(device: Device, key: int, body: Any) -> int:
    return device.call("POST", f"/confirmationBase/{key}/feedback", body).status


def test_what_waits_is_shown_and_not_offered(house: House, device: Device, waiting: int) -> None:
    (name, link), *others = device.poll().items()
    assert (name, others) == ("confirmationBase", [])
    proposal = device.get(link["href"]).json
    assert device.get(f"/deploymentBase/{waiting}").status == 404
    assert device.report(waiting, "closed", "success").status == 404
    root = device.get("/confirmationBase").json
    assert root["autoConfirm"] == {"active": False, "activatedAt": 0}
    assert root["_links"]["confirmationBase"] == link
    assert answered(device, waiting, {"confirmation": "confirmed"}) == 200
    offer = device.get(device.poll()["deploymentBase"]["href"]).json
    assert offer == {"id": proposal["id"], "deployment": proposal["confirmation"]}
    assert house.action(waiting)["state"] == "open"


@pytest.mark.parametrize("make", [RaucHawkbitUpdater, SWUpdate])
def test_stock_clients_see_nothing_of_it(
    house: House, device: Device, waiting: int, make: Any
) -> None:
    make(device).poll()
    assert house.action(waiting)["state"] == "waiting"


def test_denied_waits_on_with_the_reason(house: House, device: Device, waiting: int) -> None:
    body = {"confirmation": "denied", "code": 10, "details": ["a patient is connected"]}
    assert answered(device, waiting, body) == 200
    told = house.action(waiting)
    assert (told["state"], told["statuses"][-1]["kind"]) == ("waiting", "wait_for_confirmation")
    assert told["statuses"][-1]["messages"][-1] == "a patient is connected"
    assert "confirmationBase" in device.poll()


@pytest.mark.parametrize(
    "body", [None, [], {}, {"confirmation": "CONFIRMED"}, {"confirmation": ["confirmed"]}]
)
def test_what_is_no_answer(device: Device, waiting: int, body: Any) -> None:
    assert answered(device, waiting, body) == 400


def test_only_ones_own_and_only_what_waits(house: House, device: Device, waiting: int) -> None:
    yes = {"confirmation": "confirmed"}
    stranger = house.device("stranger")
    assert answered(stranger, waiting, yes) == 404
    assert stranger.get(f"/confirmationBase/{waiting}").status == 404
    assert answered(device, 999, yes) == 404
    assert answered(device, waiting, yes) == 200
    assert answered(device, waiting, yes) == 404
    assert device.get(f"/confirmationBase/{waiting}").status == 404
    device.report(waiting, "closed", "success")
    assert answered(device, waiting, yes) == 410


def test_auto_confirmation_opens_what_waits_and_what_comes(
    house: House, device: Device, waiting: int
) -> None:
    place = "/confirmationBase/activateAutoConfirm"
    assert device.call("POST", place, {"initiator": "me", "remark": "r"}).status == 200
    assert house.action(waiting)["state"] == "open"
    told = device.get("/confirmationBase").json
    at = told["autoConfirm"].pop("activatedAt")
    assert 0 < at < house.now
    assert told["autoConfirm"] == {"active": True, "initiator": "me", "remark": "r"}
    assert set(told["_links"]) == {"deactivateAutoConfirm"}
    assert house.target("pi-1")["auto_confirm"]
    again = device.call("POST", place, {})
    assert (again.status, set(again.json)) == (409, {"exceptionClass", "errorCode", "message"})
    device.report(waiting, "closed", "success")
    newer = house.assign("pi-1", house.release("2.0"), confirm=True)
    assert house.action(newer)["state"] == "open"


def test_auto_confirmation_ends(house: House, device: Device) -> None:
    assert device.call("POST", "/confirmationBase/activateAutoConfirm").status == 200
    for _ in range(2):
        assert device.call("POST", "/confirmationBase/deactivateAutoConfirm", {}).status == 200
    key = house.assign("pi-1", house.release("1.0"), confirm=True)
    assert house.action(key)["state"] == "waiting"


@pytest.mark.parametrize("body", [[], "x", {"remark": 1}, {"initiator": "x" * 513}, b"{"])
def test_what_does_not_ask_for_auto_confirmation(device: Device, body: Any) -> None:
    assert device.call("POST", "/confirmationBase/activateAutoConfirm", body).status == 400


def test_what_waits_can_be_canceled(house: House, device: Device, waiting: int) -> None:
    house.cancel(waiting)
    device.answer_cancel(waiting, "closed")
    assert house.action(waiting)["state"] == "canceled"


@pytest.mark.parametrize(("wanted", "messages"), [("-1", 4), ("2", 2), ("100", 4)])
def test_the_history_is_told_newest_first(
    device: Device, action: int, wanted: str, messages: int
) -> None:
    device.report(action, "proceeding", "none", "one", "two")
    told = device.get(f"/deploymentBase/{action}?c=1&actionHistory={wanted}").json["actionHistory"]
    assert told["status"] == "RETRIEVED"
    assert len(told["messages"]) == messages
    assert "read the deployment" in told["messages"][0]
    assert told["messages"][1] == "two"


@pytest.mark.parametrize("query", ["", "actionHistory=0", "c=-5", "xactionHistory=1"])
def test_nobody_asked_for_history(device: Device, action: int, query: str) -> None:
    assert "actionHistory" not in device.get(f"/deploymentBase/{action}?{query}").json


@pytest.mark.parametrize("wanted", ["x", "1.5", "--1", "9" * 30])
def test_a_history_that_is_no_number(device: Device, action: int, wanted: str) -> None:
    assert device.get(f"/deploymentBase/{action}?actionHistory={wanted}").status == 400


@pytest.mark.parametrize("place", ["", "/deploymentBase/1", "/softwaremodules/1/artifacts"])
def test_what_the_device_knows_already_is_not_told_again(
    device: Device, action: int, place: str
) -> None:
    assert action == 1
    device.get("/deploymentBase/1")
    first = device.get(place)
    assert (first.status, len(first.headers["etag"])) == (200, 34)
    same = device.get(place, **{"If-None-Match": first.headers["etag"]})
    assert (same.status, same.body, same.headers["etag"]) == (304, b"", first.headers["etag"])
    assert device.get(place, **{"If-None-Match": '"other"'}).json == first.json


def test_another_offer_has_another_etag(house: House, device: Device, action: int) -> None:
    before = device.get().headers["etag"]
    house.cancel(action)
    assert device.get("", **{"If-None-Match": before}).status == 200
