"""Health, readiness and figures: what they say, to whom, and what they never say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from prometheus_client.parser import text_string_to_metric_families

from flipside_server.application import application
from flipside_server.errors import OperatorError
from flipside_server.front_desk import NotHere, front_desk
from flipside_server.health import Disk, troubles
from flipside_server.metrics import Tally, kind_of
from flipside_server.operations import (
    Operations,
    disk_of,
    networks,
    with_operations,
    with_pulse,
)
from flipside_server.response import App, answered
from flipside_server.settings import USUAL
from flipside_server.visit import Desk
from models.ddi_device import Device, House

ROOMY = Disk(free=1 << 30, files=1000, read_only=False)
BASE = "/DEFAULT/controller/v1/pi-1"


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.fixture
def operations(house: House, tally: Tally) -> Operations:
    return Operations(house.store, house.path, tally, lambda: 7, (ip_network("10.0.0.0/8"),))


def asked(app: App, path: str, peer: str = "127.0.0.1", **more: str) -> tuple[str, bytes]:
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "REMOTE_ADDR": peer}
    response = answered(app, {**environ, **more})
    return response.status[:3], response.body


@pytest.fixture
def app(house: House, operations: Operations) -> App:
    return with_operations(house.app, operations)


@pytest.mark.parametrize(
    ("disk", "sound", "said"),
    [
        (ROOMY, True, []),
        (replace(ROOMY, files=None), True, []),
        (replace(ROOMY, free=1 << 20), True, ["the disk is full: 1 of 16 MiB are free"]),
        (replace(ROOMY, files=3), True, ["the disk has no room for further files"]),
        (
            replace(ROOMY, read_only=True),
            True,
            ["the data directory is on a file system that is read-only"],
        ),
        (
            ROOMY,
            False,
            ["the disk failed to keep a write: restart the server to read it anew"],
        ),
    ],
)
def test_what_keeps_the_server_from_working(disk: Disk, sound: bool, said: list[str]) -> None:
    assert list(troubles(disk, sound=sound)) == said


def test_it_is_alive_and_ready(app: App, tmp_path: Path) -> None:
    assert asked(app, "/healthz") == ("200", b'{"status": "alive"}')
    assert asked(app, "/readyz") == ("200", b'{"status": "ready"}')
    assert disk_of(tmp_path).free > 0


def test_it_is_not_ready_on_a_disk_that_fails(
    app: App, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(house.store), "sound", property(lambda _: False))
    status, body = asked(app, "/readyz")
    assert (status, json.loads(body)["status"]) == ("503", "not ready")
    assert asked(app, "/healthz")[0] == "200"


@pytest.mark.parametrize(
    ("peer", "header", "status"),
    [
        ("127.0.0.1", "", "200"),
        ("::1", "", "200"),
        ("10.1.2.3", "", "200"),
        ("192.0.2.1", "", "404"),
        ("", "", "404"),
        ("127.0.0.1", "HTTP_X_FORWARDED_FOR", "404"),
        ("10.1.2.3", "HTTP_FORWARDED", "404"),
    ],
)
def test_who_may_see_the_figures(app: App, peer: str, header: str, status: str) -> None:
    more = {header: "192.0.2.1"} if header else {}
    assert asked(app, "/metrics", peer, **more)[0] == status


def figures(app: App) -> dict[str, float]:
    """Every sample of the page, read by Prometheus' own parser."""
    text = asked(app, "/metrics")[1].decode()
    return {
        sample.name + "".join(f" {value}" for _, value in sorted(sample.labels.items())): value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for value in [sample.value]
    }


def test_figures(app: App, tally: Tally, house: House, device: Device, action: int) -> None:
    for status in ("200 OK", "200 OK", "401 Unauthorized"):
        tally.observe("GET", BASE, status, 0.004)
    tally.observe("POST", f"{BASE}/deploymentBase/1/feedback", "200 OK", 99)
    found = figures(app)
    assert found["flipside_requests_total poll 2xx"] == 2
    assert found["flipside_requests_total poll 401"] == 1
    assert found["flipside_request_seconds_bucket poll 0.0025"] == 0
    assert found["flipside_request_seconds_bucket poll 0.005"] == 3
    assert found["flipside_request_seconds_bucket feedback 10.0"] == 0
    assert found["flipside_request_seconds_bucket feedback +Inf"] == 1
    assert found["flipside_request_seconds_count feedback"] == 1
    assert found["flipside_connections"] == 7
    assert found["flipside_targets"] == found["flipside_ready"] == 1
    assert found["flipside_actions open"] == 1
    assert found["process_resident_memory_bytes"] > 0


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", BASE, "poll"),
        ("PUT", f"{BASE}/configData", "attributes"),
        ("GET", f"{BASE}/deploymentBase/1", "deployment"),
        ("POST", f"{BASE}/cancelAction/1/feedback", "feedback"),
        ("GET", f"{BASE}/softwaremodules/1/artifacts/a/b", "download"),
        ("GET", f"{BASE}/secret", "other"),
        ("GET", "/", "other"),
        ("GET", "", "other"),
    ],
)
def test_kinds(method: str, path: str, kind: str) -> None:
    assert kind_of(method, path) == kind


KINDS = {kind_of("GET", f"{BASE}/{name}") for name in ("configData", "deploymentBase", "x")}


@given(
    some.text(alphabet='/ab.{}"\n\\', max_size=30) | some.just(BASE),
    some.sampled_from(["GET", "\n"]),
)
def test_no_client_makes_a_label(path: str, method: str) -> None:
    assert re.fullmatch("[a-z]+", kind_of(method, path))


def test_figures_name_no_device(app: App, tally: Tally, device: Device) -> None:
    tally.observe("GET", BASE, "200 OK", 0.1)
    assert device.name.encode() not in asked(app, "/metrics")[1]


def test_networks_that_make_no_sense() -> None:
    with pytest.raises(OperatorError, match=r"give an address such as 10\.0\.0\.7"):
        networks(["10.0.0.1/8"])


def desk(house: House) -> Desk:
    return Desk(house.store, house.artifacts, house.contacts, house.clock, USUAL)


def test_the_front_desk_answers_what_waits_for_nothing(
    house: House, device: Device, operations: Operations
) -> None:
    front = with_pulse(application(front_desk(desk(house))), operations)
    own = {"HTTP_HOST": "x", "wsgi.url_scheme": "http"}
    own["HTTP_AUTHORIZATION"] = f"TargetToken {device.token}"
    assert asked(front, BASE, **own)[0] == "200"
    assert asked(front, BASE, HTTP_HOST="x")[0] in ("401", "500")
    assert asked(front, "/healthz")[0] == "200"


@pytest.mark.parametrize("what", ["first look", "file", "readiness", "figures"])
def test_the_front_desk_passes_on_what_may_take_time(
    what: str, house: House, device: Device, action: int, operations: Operations
) -> None:
    paths: dict[str, Callable[[], str]] = {
        "first look": lambda: f"{BASE}/deploymentBase/{action}",
        "file": lambda: f"{BASE}/softwaremodules/1/artifacts/fw.raucb",
        "readiness": lambda: "/readyz",
        "figures": lambda: "/metrics",
    }
    front = with_pulse(application(front_desk(desk(house))), operations)
    own = {"HTTP_HOST": "x", "wsgi.url_scheme": "http"}
    own["HTTP_AUTHORIZATION"] = f"TargetToken {device.token}"
    before = house.written()
    with pytest.raises(NotHere):
        asked(front, paths[what](), **own)
    assert house.written() == before
