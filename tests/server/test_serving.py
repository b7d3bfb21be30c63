"""The server as a process: stopped, killed, started twice, started by a service manager."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path

import pytest

from models.authority import Authority
from models.server_process import command, environment, run, serving

FINISHED = {"status": {"execution": "closed", "result": {"finished": "success"}}}
ARTIFACT = "/softwaremodules/1/artifacts/fw.raucb"


def done(*arguments: str | Path) -> str:
    finished = run(*arguments)
    assert (finished.returncode, finished.stderr) == (0, "")
    return finished.stdout.strip()


def set_up(data: Path, content: bytes = b"firmware", hold: str = "no") -> str:
    """A target with an action; the target's token."""
    file = data.parent / "fw.raucb"
    file.write_bytes(content)
    token = done("target", "add", "pi-1", "--data", data)
    done("artifact", "add", file, "--name", "os", "--version", "1.0", "--data", data)
    assert done("assign", "pi-1", "os:1.0", "--hold", hold, "--data", data) == "1"
    return token


def states(data: Path) -> list[str]:
    shown = json.loads(done("show", "actions", "--json", "--data", data))
    return [action["state"] for action in shown["actions"]]


def test_an_update_from_the_first_command_to_the_last_report(tmp_path: Path) -> None:
    # Longer than the 107 bytes that the name of a Unix socket may have.
    data = tmp_path / ("long" * 30)
    with serving(data, "--poll", "00:00:07") as server:
        token = set_up(data)
        assert json.loads(server.ask(token)[1])["config"]["polling"]["sleep"] == "00:00:07"
        assert server.ask(token, ARTIFACT) == (200, b"firmware")
        assert server.ask(token, "/deploymentBase/1/feedback", FINISHED) == (200, b"")
        assert states(data) == ["finished"]
        for path in [data, *data.rglob("*")]:
            assert path.stat().st_mode & 0o077 == 0, path
        log = server.stop()
        assert server.process.returncode == 0
    assert token not in log
    assert "stopping on SIGTERM" in log
    assert not (data / "control.sock").exists()


def test_an_acknowledged_report_survives_kill_9(tmp_path: Path) -> None:
    data = tmp_path / "data"
    token = set_up(data)
    with serving(data) as server:
        assert server.ask(token, "/deploymentBase/1/feedback", FINISHED)[0] == 200
        server.stop(signal.SIGKILL)
    assert states(data) == ["finished"]
    with serving(data) as server:
        assert server.ask(token, "/deploymentBase/1/feedback", FINISHED)[0] == 410
        assert states(data) == ["finished"]


def test_a_download_under_way_is_finished_before_the_server_stops(tmp_path: Path) -> None:
    data, content = tmp_path / "data", bytes(range(256)) * 60_000
    token = set_up(data, content)
    with serving(data) as server:
        response = server.open(token, ARTIFACT)
        begun = response.read(100)
        server.process.send_signal(signal.SIGTERM)
        assert begun + response.read() == content
        assert server.process.wait() == 0


def test_one_directory_has_one_server(tmp_path: Path) -> None:
    with serving(tmp_path):
        second = run("serve", "--data", tmp_path, "--listen", "127.0.0.1:0")
    assert second.returncode == 5
    assert second.stderr == (
        f"flipside-server: another server serves {tmp_path} already: "
        "stop it or give another --data\n"
    )


def test_the_service_manager_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "n"))
        arguments = command("serve", "--data", tmp_path, "--listen", "127.0.0.1:0")
        told = {**environment(), "NOTIFY_SOCKET": str(tmp_path / "n")}
        with subprocess.Popen(arguments, stderr=subprocess.DEVNULL, env=told) as process:
            assert manager.recv(100) == b"READY=1"
            process.terminate()
            assert manager.recv(100) == b"STOPPING=1"
            assert process.wait() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for another user")
def test_what_root_adds_belongs_to_the_directorys_owner() -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir(mode=0o700)
        shutil.chown(folder, 65534, 65534)
        shutil.chown(data, 65534, 65534)
        set_up(data)
        for path in data.rglob("*"):
            assert path.stat().st_uid == 65534, path


def test_a_device_that_never_comes_back_is_told_as_failed_by_the_server_itself(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    with serving(data, "--poll", "00:00:01") as server:
        token = set_up(data, hold="00:00:01")
        assert server.ask(token, "/deploymentBase/1/feedback", FINISHED) == (200, b"")
        while states(data) == ["installed"]:
            assert server.process.poll() is None
        assert states(data) == ["error"]
    *_, line = (data / "audit.log").read_text().splitlines()
    assert (json.loads(line)["who"], json.loads(line)["details"]["to"]) == ("server", "error")


def test_a_new_certificate_is_served_after_a_signal(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    chain = tmp_path / "chain.pem"
    chain.write_bytes(authority.issue("first").read_bytes())
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    with serving(tmp_path / "data", "--tls-cert", str(chain), "--tls-key", str(chain)) as server:
        first = _serial(server.port, context)
        chain.write_bytes(authority.issue("second").read_bytes())
        server.process.send_signal(signal.SIGHUP)
        while _serial(server.port, context) == first:
            assert server.process.poll() is None


def _serial(port: int, context: ssl.SSLContext) -> str:
    raw = socket.create_connection(("127.0.0.1", port))
    with context.wrap_socket(raw, server_hostname="127.0.0.1") as secured:
        shown = secured.getpeercert()
    assert shown is not None
    return str(shown["serialNumber"])


def test_the_pages_for_operators(tmp_path: Path) -> None:
    with serving(tmp_path, "--log-format", "json") as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        found = {}
        for page in ("/healthz", "/readyz", "/metrics"):
            connection.request("GET", page)
            answer = connection.getresponse()
            found[page] = answer.status, answer.read()
        connection.close()
        log = server.stop()
    assert [status for status, _ in found.values()] == [200, 200, 200]
    assert b"flipside_ready 1.0" in found["/metrics"][1]
    assert all(json.loads(line)["level"] in ("info", "warning") for line in log.splitlines())
