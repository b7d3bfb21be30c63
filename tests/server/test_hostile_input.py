"""Whatever a device sends, the server answers it and stays as it was."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from models.ddi_device import Device, House

KEYS = ["status", "result", "execution", "finished", "details", "data", "mode", "id", "x"]
KEYS += ["name", "version", "confirmation", "initiator", "remark"]
WORDS = [
    "confirmed",
    "os",
    "1.0",
    "closed",
    "success",
    "none",
    "merge",
    "remove",
    "proceeding",
    "\ud800",
    "",
    "x" * 600,
]
JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.sampled_from(WORDS),
    lambda inner: some.lists(inner, max_size=3)
    | some.dictionaries(some.sampled_from(KEYS), inner, max_size=4),
    max_leaves=10,
)
RESULT = some.fixed_dictionaries(
    {"execution": JSON, "result": some.fixed_dictionaries({"finished": JSON}), "details": JSON}
)
BODY = (
    JSON
    | some.fixed_dictionaries({"status": RESULT})
    | some.fixed_dictionaries({"mode": JSON, "data": JSON})
    | some.fixed_dictionaries({"name": JSON, "version": JSON})
    | some.fixed_dictionaries({"confirmation": JSON, "details": JSON})
)
PLACES = [
    ("PUT", "/configData"),
    ("POST", "/deploymentBase/1/feedback"),
    ("POST", "/cancelAction/1/feedback"),
    ("POST", "/deploymentBase/2/feedback"),
    ("PUT", "/installedBase"),
    ("POST", "/confirmationBase/2/feedback"),
    ("POST", "/confirmationBase/activateAutoConfirm"),
    ("POST", "/confirmationBase/deactivateAutoConfirm"),
]


@pytest.fixture(scope="module")
def attacker(tmp_path_factory: pytest.TempPathFactory) -> Device:
    house = House(tmp_path_factory.mktemp("house"))
    device = house.device("pi-1")
    house.assign("pi-1", house.release("1.0"))
    house.assign("pi-1", house.release("2.0"), confirm=True)
    return device


@settings(deadline=None)
@given(some.sampled_from(PLACES), BODY)
def test_any_json(attacker: Device, place: tuple[str, str], body: Any) -> None:
    answer = attacker.call(*place, body)
    assert answer.status in (200, 201, 400, 404, 405, 409, 410, 429)
    assert answer.body == b"" or answer.json["message"]


@settings(deadline=None)
@given(some.sampled_from(PLACES), some.binary(max_size=60))
def test_any_bytes(attacker: Device, place: tuple[str, str], body: bytes) -> None:
    assert attacker.call(*place, body).status in (200, 400, 404, 405, 409, 410)


@settings(deadline=None)
@given(
    some.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "X"]),
    some.text(some.characters(codec="latin-1"), max_size=40),
)
def test_any_path(attacker: Device, method: str, path: str) -> None:
    places = ["/", "/deploymentBase/", "/deploymentBase/1?actionHistory=", "/confirmationBase/"]
    for place in [f"{one}{path}" for one in [*places, "/softwaremodules/1/artifacts/"]]:
        assert attacker.call(method, place).status in (200, 400, 401, 404, 405)


@settings(deadline=None)
@given(some.text(some.characters(codec="latin-1"), max_size=40))
def test_any_header(attacker: Device, text: str) -> None:
    place = "/softwaremodules/1/artifacts/fw.raucb"
    for name in [
        "Range",
        "If-Range",
        "If-Match",
        "If-None-Match",
        "Accept",
        "Authorization",
        "Host",
    ]:
        assert attacker.get(place, **{name: text}).status in (200, 206, 304, 400, 401, 412, 416)


def test_it_is_all_still_there(attacker: Device) -> None:
    attacker.house.store.close()
    attacker.house.open()
    assert attacker.get().status == 200
