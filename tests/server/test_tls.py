"""TLS of the listener: certificates of both sides, renewal at work, clients that misbehave."""

from __future__ import annotations

import http.client
import logging
import socket
import ssl
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from flipside_server.admission import CERTIFICATE, ClientCertificate
from flipside_server.limits import Limits
from flipside_server.listener import Address, listening, tcp_listener
from flipside_server.response import Environ
from flipside_server.tls import Tls, TlsFiles, tls
from flipside_server.traffic import Office
from models.authority import Authority


def who(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Says whose certificate it was shown."""
    shown = environ.get(CERTIFICATE, ClientCertificate("nobody"))
    start_response("200 OK", [("X-Forwarded", environ.get("HTTP_FLIPSIDE_CLIENT_CERTIFICATE", ""))])
    return [f"{shown.common_name} of {shown.issuer}".encode()]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


def files(authority: Authority, folder: Path, name: str = "server", clients: str = "") -> TlsFiles:
    """Certificate and key of a server, as an operator lays them down."""
    issued = authority.issue(name).read_text()
    end = issued.index("-----BEGIN PRIVATE KEY")
    (folder / "cert.pem").write_text(issued[:end])
    (folder / "key.pem").write_text(issued[end:])
    return TlsFiles(str(folder / "cert.pem"), str(folder / "key.pem"), clients)


@contextmanager
def served(made: Tls, limits: Limits = Limits()) -> Iterator[int]:  # noqa: B008  # frozen
    listener = tcp_listener(Office(who, limits=limits), Address("127.0.0.1", 0), made.context)
    with listening(listener):
        yield listener.name[1]


def trusting(authority: Authority, *chains: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    for chain in chains:
        context.load_cert_chain(chain)
    return context


def ask(port: int, context: ssl.SSLContext, **headers: str) -> str:
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=30)
    try:
        connection.request("GET", "/", headers=headers)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def serial(port: int, context: ssl.SSLContext) -> str:
    """Which certificate the server shows."""
    raw = socket.create_connection(("127.0.0.1", port))
    with context.wrap_socket(raw, server_hostname="127.0.0.1") as secured:
        shown = secured.getpeercert()
    assert shown is not None
    return str(shown["serialNumber"])


def test_a_device_may_show_a_certificate_and_need_not(authority: Authority, tmp_path: Path) -> None:
    device = authority.issue("pi-1")
    made = tls(files(authority, tmp_path, clients=str(authority.certificate)))
    with served(made) as port:
        assert ask(port, trusting(authority, device)) == "pi-1 of authority"
        assert ask(port, trusting(authority)) == "nobody of "
        spoofed = {"flipside.client_certificate": "pi-1", "Flipside-Client-Certificate": "pi-1"}
        assert ask(port, trusting(authority), **spoofed) == "nobody of "


def test_a_certificate_of_another_authority_ends_the_handshake(
    authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    foreign = Authority(tmp_path / "other", "authority").issue("pi-1")
    made = tls(files(authority, tmp_path, clients=str(authority.certificate)))
    with served(made) as port:
        with pytest.raises((ssl.SSLError, OSError)):
            ask(port, trusting(authority, foreign))
        assert ask(port, trusting(authority)) == "nobody of "


def test_nobody_is_asked_for_a_certificate_without_authorities(
    authority: Authority, tmp_path: Path
) -> None:
    device = authority.issue("pi-1")
    with served(tls(files(authority, tmp_path))) as port:
        assert ask(port, trusting(authority, device)) == "nobody of "


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_tls_is_refused(authority: Authority, tmp_path: Path) -> None:
    old = trusting(authority)
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with served(tls(files(authority, tmp_path))) as port:
        with pytest.raises((ssl.SSLError, OSError)):
            ask(port, old)
        assert ask(port, trusting(authority)) == "nobody of "


def test_a_new_certificate_is_taken_and_connections_go_on(
    authority: Authority, tmp_path: Path
) -> None:
    made = tls(files(authority, tmp_path))
    context = trusting(authority)
    with served(made) as port:
        first = serial(port, context)
        kept = http.client.HTTPSConnection("127.0.0.1", port, context=context)
        kept.request("GET", "/")
        assert kept.getresponse().read()
        ours = kept.sock
        files(authority, tmp_path, "renewed")
        made.refresh()
        assert serial(port, context) != first
        kept.request("GET", "/")
        assert kept.getresponse().read()
        assert kept.sock is ours
        kept.close()


def test_half_a_renewal_leaves_the_old_certificate_in_place(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = tls(files(authority, tmp_path))
    context = trusting(authority)
    with caplog.at_level(logging.INFO), served(made) as port:
        first = serial(port, context)
        old_key = (tmp_path / "key.pem").read_text()
        files(authority, tmp_path, "renewed")
        new_key = (tmp_path / "key.pem").read_text()
        (tmp_path / "key.pem").write_text(old_key)
        made.refresh()
        made.refresh()
        assert serial(port, context) == first
        (tmp_path / "key.pem").write_text(new_key + "\n")
        made.refresh()
        assert serial(port, context) != first
        (tmp_path / "key.pem").unlink()
        made.refresh()
        assert ask(port, context)
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO", "ERROR"]


NONSENSE = {
    "clear text": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "noise": bytes(range(256)) * 8,
    "half a hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 50,
    "a huge record": b"\x16\x03\x01\xff\xff" + b"\x01" * 40_000,
    "nothing": b"",
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_on_the_port_is_ended_and_stops_nobody(
    name: str, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = tls(files(authority, tmp_path))
    limits = Limits(handshake=0.3, look=0.02)
    with served(made, limits) as port, socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(30)
        client.sendall(NONSENSE[name])
        assert ask(port, trusting(authority)) == "nobody of "
        with suppress(ConnectionResetError):
            while client.recv(1000):
                pass
    assert not [record for record in caplog.records if record.exc_info]


def test_clients_that_vanish_during_the_handshake(authority: Authority, tmp_path: Path) -> None:
    made = tls(files(authority, tmp_path))
    with served(made) as port:
        for _ in range(50):
            client = socket.create_connection(("127.0.0.1", port))
            client.sendall(NONSENSE["half a hello"])
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        assert ask(port, trusting(authority)) == "nobody of "


def test_silent_clients_with_tls_cost_little_memory(authority: Authority, tmp_path: Path) -> None:
    made = tls(files(authority, tmp_path))
    context = trusting(authority)
    context.options |= ssl.OP_NO_TICKET
    with served(made) as port:
        before = _resident()
        silent = []
        for _ in range(100):
            raw = socket.create_connection(("127.0.0.1", port))
            silent.append(context.wrap_socket(raw, server_hostname="127.0.0.1"))
        assert ask(port, context)
        # Both ends are in this process; asyncio's own buffer alone would be 256 KiB each.
        assert (_resident() - before) / 100 < 220 << 10
        for one in silent:
            one.close()


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096
