"""Attacks on who a device is: one's credentials on another's resources, and forged headers.

Every route is tried; whoever may not come in learns nothing, not even whether the target exists.
"""

from __future__ import annotations

import ast
import logging
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

import flipside_server
from flipside_server.admission import CERTIFICATE, ClientCertificate, Policy
from flipside_server.credentials import proof
from flipside_server.proxy import Proxy
from models.ddi_device import OFTEN, Device, House

GATEWAY = "gateway-gateway-gateway"
FEEDBACK = {"status": {"execution": "closed", "result": {"finished": "success"}}}
ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("PUT", "/configData", {"data": {"a": "1"}}),
    ("GET", "/deploymentBase/1", None),
    ("POST", "/deploymentBase/1/feedback", FEEDBACK),
    ("PUT", "/installedBase", {"name": "os", "version": "1.0"}),
    ("GET", "/installedBase/1", None),
    ("GET", "/cancelAction/1", None),
    ("POST", "/cancelAction/1/feedback", FEEDBACK),
    ("GET", "/confirmationBase", None),
    ("GET", "/confirmationBase/1", None),
    ("POST", "/confirmationBase/1/feedback", {"confirmation": "confirmed"}),
    ("POST", "/confirmationBase/activateAutoConfirm", {}),
    ("POST", "/confirmationBase/deactivateAutoConfirm", {}),
    ("GET", "/softwaremodules/1/artifacts", None),
    ("GET", "/softwaremodules/1/artifacts/fw.raucb", None),
    ("HEAD", "/softwaremodules/1/artifacts/fw.raucb", None),
    ("GET", "/softwaremodules/1/artifacts/fw.raucb.MD5SUM", None),
]
PROXIED = replace(
    OFTEN,
    admission=Policy(gateway=proof(GATEWAY)),
    proxy=Proxy((ip_network("192.0.2.7"),), "X-Controller-Id"),
)


def test_the_list_of_routes_is_whole(house: House) -> None:
    named = {(route.method, route.rule.count("/")) for route in house.app.routes}
    tried = {(method, ("/t/c/v1/d" + path).count("/")) for method, path, _ in ROUTES}
    assert named <= tried
    assert len(house.app.routes) == len(ROUTES) - 1  # HEAD is GET's


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_anothers_credentials_are_as_good_as_none(
    house: House, device: Device, action: int, method: str, path: str, body: Any
) -> None:
    other = house.device("pi-2")
    before = house.written()
    answers = []
    for name in [device.name, "ghost"]:
        for header in [f"TargetToken {other.token}", "TargetToken wrong", ""]:
            thief = Device(house, name, "", headers={"Authorization": header})
            answers.append(thief.call(method, path, body))
    assert {answer.status for answer in answers} == {401}
    assert len({(answer.body, tuple(answer.headers.items())) for answer in answers}) == 1
    assert house.written() == before
    assert house.action(action)["state"] == "open"


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_another_tenant_is_refused_everywhere(
    device: Device, action: int, method: str, path: str, body: Any
) -> None:
    assert action == 1
    device.tenant = "OTHER"
    assert device.call(method, path, body).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Controller-Id": "pi-1"},
        {"X-Ssl-Client-Cn": "pi-1", "X-Ssl-Issuer-Hash-1": "any"},
        {"X-Controller-Id": "pi-1", "X-Authority": "any", "X-Authority-0": "any"},
        {"Ssl-Client-S-Dn-Cn": "pi-1", "Ssl-Client-Verify": "SUCCESS"},
        {"flipside.client_certificate": "pi-1"},
    ],
)
def test_a_certificate_cannot_be_claimed_by_a_header(
    house: House, device: Device, headers: dict[str, str]
) -> None:
    forger = Device(house, "pi-1", "", headers={"Authorization": "", **headers})
    assert device.get().status == 200
    assert forger.get().status == 401
    # With a proxy that is trusted, but not by that peer.
    house.serve(replace(PROXIED, proxy=Proxy((ip_network("10.0.0.1"),), "X-Controller-Id")))
    assert forger.get().status == 401


def test_only_the_configured_header_of_the_trusted_proxy_counts(
    house: House, device: Device
) -> None:
    house.serve(PROXIED)
    named = Device(house, "pi-1", "", headers={"Authorization": "", "X-Controller-Id": "pi-1"})
    assert named.get().status == 200
    assert replace(named, name="pi-2").get().status == 401
    for name in ["X-Ssl-Client-Cn", "X-Controller-Id-0", "X-Authority"]:
        other = Device(house, "pi-1", "", headers={"Authorization": "", name: "pi-1"})
        assert other.get().status == 401
    several = Device(house, "pi-1", "", headers={"X-Controller-Id": "pi-2,pi-1"})
    assert several.get().status == 401


def test_a_verified_certificate_speaks_for_its_device_and_registers_it(house: House) -> None:
    house.device("pi-1")
    shown = ClientCertificate("pi-1", "Fleet CA")
    owner = Device(house, "pi-1", "", environ={CERTIFICATE: shown})
    assert owner.get().status == 200
    assert replace(owner, name="pi-2").get().status == 401
    fresh = Device(house, "pi-3", "", environ={CERTIFICATE: ClientCertificate("pi-3", "Fleet CA")})
    assert fresh.get().status == 200
    house.serve(replace(OFTEN, admission=Policy(issuers=("Other CA",))))
    assert owner.get().status == 401


def test_artifacts_cannot_be_walked_through(house: House, device: Device, action: int) -> None:
    assert action == 1
    house.assign(house.device("pi-2").name, house.release("2.0"))
    place = "/softwaremodules/{}/artifacts{}"
    assert device.get(place.format(1, "/fw.raucb")).status == 200
    for module, path in [(2, "/fw.raucb"), (2, ""), (3, ""), (2, "/fw.raucb.MD5SUM")]:
        for headers in [{}, {"Range": "bytes=0-3"}]:
            assert device.get(place.format(module, path), **headers).status == 404
    for path in ["/../../records.log", "/%2e%2e%2frecords.log", "/..\\lock", "/\0", "//etc/passwd"]:
        assert device.get(place.format(1, path)).status in (400, 404)


def test_no_token_is_ever_logged(
    house: House, device: Device, action: int, caplog: pytest.LogCaptureFixture
) -> None:
    house.serve(PROXIED)
    with caplog.at_level(logging.DEBUG):
        fresh = Device(house, "new", "", headers={"Authorization": f"GatewayToken {GATEWAY}"})
        for visitor in [device, fresh, Device(house, "pi-1", "wrong-wrong-wrong-wrong")]:
            for method, path, body in ROUTES:
                visitor.call(method, path, body)
    assert "registering target=new" in caplog.text
    assert f"target=pi-1 action={action} state=finished" in caplog.text
    for secret in [device.token, GATEWAY, "wrong-wrong"]:
        assert secret not in caplog.text


def test_secrets_are_compared_in_constant_time_and_in_one_place() -> None:
    folder = Path(flipside_server.__file__).parent
    compared = {file.name for file in folder.glob("*.py") if "proof(" in file.read_text()}
    assert compared == {"admission.py", "control.py", "credentials.py", "settings.py"}
    tree = ast.parse((folder / "admission.py").read_text())
    equal = [node for node in ast.walk(tree) if isinstance(node, ast.Eq)]
    assert equal == []
