"""The web server itself, on a real socket in this process: TLS, silence, nonsense, resumption."""

from __future__ import annotations

import http.client
import json
import logging
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flipside_server.control_socket import control_application
from flipside_server.errors import OperatorError
from flipside_server.listener import (
    Address,
    address,
    listening,
    refuse_open_air,
    tcp_listener,
    unix_listener,
)
from flipside_server.orders import Subject
from flipside_server.tls import TlsFiles, tls
from flipside_server.traffic import Office
from models.ddi_device import FIRMWARE, Device, House

HERE = Address("127.0.0.1", 0)


@contextmanager
def served(app: Any, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port on which the application is served."""
    listener = tcp_listener(Office(app), HERE, tls)
    with listening(listener):
        yield listener.name[1]


def ask(connection: http.client.HTTPConnection, device: Device, path: str = "") -> bytes:
    headers = {"Authorization": f"TargetToken {device.token}"}
    connection.request("GET", f"/DEFAULT/controller/v1/{device.name}{path}", headers=headers)
    response = connection.getresponse()
    content = response.read()
    assert response.status == 200, content
    return content


def test_a_kept_connection_carries_many_requests(house: House, device: Device, action: int) -> None:
    with served(house.app) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.connect()
        ours = connection.sock
        for _ in range(20):
            assert ask(connection, device, "/softwaremodules/1/artifacts/fw.raucb") == FIRMWARE
            assert json.loads(ask(connection, device))["config"]
        assert connection.sock is ours
        connection.close()


def test_a_body_in_chunks_is_read(house: House, device: Device) -> None:
    with served(house.app) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        headers = {"Authorization": f"TargetToken {device.token}"}
        path = "/DEFAULT/controller/v1/pi-1/configData"
        connection.request("PUT", path, iter([b'{"data":', b'{"a":"1"}}']), headers)
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"")
        connection.close()
    assert house.show(Subject.TARGETS)[0]["attributes"] == {"a": "1"}


def test_more_clients_than_threads_are_all_answered(house: House, device: Device) -> None:
    answers: list[bytes] = []

    def poll(port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        answers.extend(ask(connection, device) for _ in range(3))
        connection.close()

    with served(house.app) as port:
        threads = [threading.Thread(target=poll, args=(port,)) for _ in range(60)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(answers) == 180


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\n" + b"A: " + b"b" * 70_000 + b"\r\n\r\n", b"431"),
        (b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", b"400"),
        (b"GET /DEFAULT/controller/v1/pi-1 HTTP/1.0\r\n\r\n", b"401"),
    ],
)
def test_nonsense_is_refused_and_stops_nobody(
    house: House, device: Device, request_: bytes, status: bytes
) -> None:
    with served(house.app) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(request_)
            assert client.recv(100).split(b" ")[1] == status
        ask(http.client.HTTPConnection("127.0.0.1", port), device)


def test_a_wrapped_application_can_misbehave(house: House, device: Device) -> None:
    calls = []

    def breaking(environ: Any, start_response: Any) -> Any:
        calls.append(environ["PATH_INFO"])
        if len(calls) == 1:
            raise ConnectionResetError("as if the network broke")
        return application_of_house(environ, start_response)

    application_of_house = house.app
    with served(breaking) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        with pytest.raises((http.client.HTTPException, OSError, AssertionError)):
            ask(connection, device)
        connection.close()
        assert ask(http.client.HTTPConnection("127.0.0.1", port), device)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")
def test_tls_goes_on_while_others_keep_silent_or_speak_nonsense(
    house: House, device: Device, action: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cert, key = certificate(tmp_path)
    trusting = ssl.create_default_context(cafile=str(cert))
    with caplog.at_level(logging.INFO), served(house.app, tls(TlsFiles(cert, key)).context) as port:
        where = ("127.0.0.1", port)
        with socket.create_connection(where), socket.create_connection(where) as nonsense:
            nonsense.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            connection = http.client.HTTPSConnection("127.0.0.1", port, context=trusting)
            links = json.loads(ask(connection, device))["_links"]
            assert links["configData"]["href"].startswith(f"https://127.0.0.1:{port}/")
            offer = json.loads(ask(connection, device, f"/deploymentBase/{action}"))
            (chunk,) = offer["deployment"]["chunks"]
            href = chunk["artifacts"][0]["_links"]["download"]["href"]
            assert ask(connection, device, href.partition("/pi-1")[2]) == FIRMWARE
            connection.close()
            # Its end tells that the server has dealt with it.
            while nonsense.recv(100):
                pass
    assert not any(record.exc_info for record in caplog.records)


def certificate(folder: Path) -> tuple[str, str]:
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subprocess.run(
        ["openssl", "req", "-x509", *kind, *subject, "-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )
    return cert, key


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")
def test_certificates_that_cannot_be_used(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    _, foreign = certificate(other)
    locked = str(tmp_path / "locked.pem")
    subprocess.run(
        ["openssl", "ec", "-in", key, "-aes128", "-passout", "pass:x", "-out", locked],
        check=True,
        capture_output=True,
    )
    for bad in [(cert, foreign), (key, cert), (cert, "/none")]:
        with pytest.raises(OperatorError, match="cannot use the certificate"):
            tls(TlsFiles(*bad))
    with pytest.raises(OperatorError, match="the TLS key is encrypted"):
        tls(TlsFiles(cert, locked))


@pytest.mark.parametrize("wanted", [slice(0, None), slice(7, None)])
def test_a_download_is_copied_by_the_kernel(
    house: House, device: Device, monkeypatch: pytest.MonkeyPatch, wanted: slice
) -> None:
    content = bytes(range(256)) * 20_000
    house.assign(device.name, house.release("1.0", content))
    copied, sendfile = [], os.sendfile

    def counted(*arguments: int) -> int:
        copied.append(sendfile(*arguments))
        return copied[-1]

    monkeypatch.setattr(os, "sendfile", counted)
    with served(house.app) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        path = f"/DEFAULT/controller/v1/{device.name}/softwaremodules/1/artifacts/fw.raucb"
        headers = {"Authorization": f"TargetToken {device.token}"}
        connection.request("GET", path, headers={**headers, "Range": f"bytes={wanted.start}-"})
        assert connection.getresponse().read() == content[wanted]
        connection.close()
    assert sum(copied) == len(content[wanted])


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is the other party here")
def test_curl_resumes_a_download(house: House, device: Device, tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000
    house.assign(device.name, house.release("1.0", content))
    config, partial = tmp_path / "config", tmp_path / "partial"
    config.write_text(f'header = "Authorization: TargetToken {device.token}"\n')
    partial.write_bytes(content[:123_457])
    curl = ["curl", "-sS", "-K", str(config), "-C", "-", "-o", str(partial)]
    with served(house.app) as port:
        base = f"http://127.0.0.1:{port}/default/controller/v1/{device.name}"
        url = f"{base}/softwaremodules/1/artifacts/fw.raucb"
        subprocess.run([*curl, "--fail", url], check=True)
        assert partial.read_bytes() == content
        again = subprocess.run(
            [*curl, "-w", "%{http_code}", url], capture_output=True, text=True, check=False
        )
    assert again.stdout == "416"


def test_socket_activation_hands_no_orders_to_the_network(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LISTEN_PID", "1")
    monkeypatch.setenv("LISTEN_FDS", "1")
    path = tmp_path / "control.sock"
    with listening(unix_listener(control_application(house.control), str(path))):
        assert path.is_socket()
        assert path.stat().st_mode & 0o777 == 0o600


def test_an_address_in_use_is_told(house: House) -> None:
    with served(house.app) as port:
        second = tcp_listener(Office(house.app), Address("127.0.0.1", port))
        with pytest.raises(OperatorError, match="cannot listen on"), listening(second):
            pass


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080)),
        ("[::1]:0", Address("::1", 0)),
        ("localhost:65535", Address("localhost", 65535)),
        ("update.example:443", Address("update.example", 443)),
    ],
)
def test_addresses(text: str, expected: Address) -> None:
    assert address(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize("text", ["", "8080", ":80", "a:b", "1.2.3.4:65536", "::1:80", "a/b:1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(OperatorError, match="is no address"):
        address(text)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "update.example"])
def test_a_network_wants_tls_or_a_word(host: str) -> None:
    where = Address(host, 8080)
    with pytest.raises(OperatorError, match="without TLS everybody there can read"):
        refuse_open_air(where, tls=False, insecure=False)
    refuse_open_air(where, tls=True, insecure=False)
    refuse_open_air(where, tls=False, insecure=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine_alone_does_not(host: str) -> None:
    refuse_open_air(Address(host, 8080), tls=False, insecure=False)
