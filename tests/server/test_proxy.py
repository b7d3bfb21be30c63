"""Who is believed about where a request came from, and who sent it."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from flipside_server.admission import CERTIFICATE, ClientCertificate, Papers
from flipside_server.errors import OperatorError
from flipside_server.proxy import Front, Proxy, checked_header, front, papers

PROXY = Proxy((ip_network("127.0.0.1"), ip_network("10.0.0.0/8")), "X-Controller-Id")


def environ(peer: str = "127.0.0.1", **headers: str) -> dict[str, Any]:
    keys = {f"HTTP_{name.upper()}": text for name, text in headers.items()}
    return {"wsgi.url_scheme": "http", "HTTP_HOST": "inner:8080", "REMOTE_ADDR": peer, **keys}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, Front("http", "inner:8080")),
        ({"x_forwarded_proto": "https"}, Front("https", "inner:8080")),
        ({"x_forwarded_host": "ota.example.com"}, Front("http", "ota.example.com")),
        (
            {"x_forwarded_proto": "https", "x_forwarded_host": "ota.example.com"},
            Front("https", "ota.example.com"),
        ),
        (
            {
                "x_forwarded_proto": "https",
                "x_forwarded_host": "ota.example.com",
                "x_forwarded_port": "8443",
            },
            Front("https", "ota.example.com:8443"),
        ),
        (
            {
                "x_forwarded_proto": "https",
                "x_forwarded_host": "ota.example.com:444",
                "x_forwarded_port": "8443",
            },
            Front("https", "ota.example.com:444"),
        ),
        (
            {
                "x_forwarded_proto": "https",
                "x_forwarded_host": "[fd00::1]",
                "x_forwarded_port": "443",
            },
            Front("https", "[fd00::1]"),
        ),
        ({"x_forwarded_host": "evil.example, ota.example.com"}, Front("http", "ota.example.com")),
        ({"x_forwarded_proto": "javascript"}, Front("http", "inner:8080")),
    ],
)
def test_a_trusted_proxy_says_where_the_device_asked(
    headers: dict[str, str], expected: Front
) -> None:
    assert front(PROXY, environ(**headers)) == expected
    assert front(PROXY, environ("10.9.8.7", **headers)) == expected


@pytest.mark.parametrize("peer", ["192.0.2.7", "", "127.0.0.2", "::1", "nonsense"])
def test_from_anybody_else_nothing_is_believed(peer: str) -> None:
    headers = {
        "x_forwarded_proto": "https",
        "x_forwarded_host": "evil.example",
        "x_controller_id": "pi-1",
    }
    assert front(PROXY, environ(peer, **headers)) == Front("http", "inner:8080")
    assert papers(PROXY, environ(peer, **headers)) == Papers()
    assert front(Proxy(), environ(**headers)) == Front("http", "inner:8080")
    assert papers(Proxy(), environ(**headers)) == Papers()


def test_one_header_of_a_trusted_proxy_names_the_certificate() -> None:
    shown = papers(PROXY, environ(x_controller_id="pi-1", authorization="TargetToken x"))
    assert shown == Papers("TargetToken x", ClientCertificate("pi-1"))
    others = {"x_ssl_client_cn": "pi-2", "x_authority": "a", "ssl_client_s_dn_cn": "pi-3"}
    assert papers(PROXY, environ(**others)) == Papers()


def test_a_certificate_of_the_listener_counts_unless_it_is_the_proxys() -> None:
    verified = ClientCertificate("pi-1", "Fleet CA")
    direct = {**environ("192.0.2.7"), CERTIFICATE: verified}
    assert papers(PROXY, direct).certificate == verified
    through = {**environ(), CERTIFICATE: ClientCertificate("proxy", "Fleet CA")}
    assert papers(PROXY, through).certificate is None


@pytest.mark.parametrize("name", ["", "X_Controller_Id", "X Controller", "X-Ä", "-X", "X:"])
def test_headers_that_cannot_be_used(name: str) -> None:
    with pytest.raises(OperatorError):
        checked_header(name)
    assert checked_header("X-Ssl-Client-Cn") == "X-Ssl-Client-Cn"
