"""The servers that are measured side by side: ours, goosebit, and a hawkBit by its address."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from flipside_qemu import cache
from flipside_qemu.update_server import free_port
from flipside_server.credentials import proof
from flipside_server.orders import AddArtifact, Assign
from flipside_server.premises import occupied
from flipside_server.target import Target

GOOSEBIT = "goosebit==0.2.12"
GATEWAY = "gateway-token-of-the-benchmark"
BUSY = 64
"""Devices with the small file to install; one more has the large one."""
_MAIN = "import sys; from flipside_server.cli import main; sys.exit(main())"
_PATIENCE = 60


@dataclass(frozen=True, slots=True)
class Plan:
    """What every server is filled with."""

    targets: int
    small: int
    """Bytes of the file that the busy devices have to install."""
    large: int

    def names(self) -> list[str]:
        """The devices; the first ones are busy."""
        return [f"bench-{number:06d}" for number in range(self.targets)]


class Peer(Protocol):
    """A server to measure."""

    name: str

    def start(self) -> float:
        """Start it; seconds until it answered."""

    def stop(self) -> None: ...

    @property
    def url(self) -> str: ...

    @property
    def pid(self) -> int: ...

    def authorization(self, device: str) -> str:
        """The header of a device that the server knows."""

    def newcomer(self) -> str:
        """The header of a device that it does not know; empty if it lets everybody in."""


class Process:
    """A server that we start ourselves."""

    def __init__(self, command: list[str], port: int, environment: Mapping[str, str]) -> None:
        self._command = command
        self._port = port
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process, or of the one above its workers."""
        assert self._process is not None
        return self._process.pid

    def start(self, folder: Path) -> float:
        """Start it; seconds until it took a connection."""
        begun = time.perf_counter()
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=folder, stdout=log, stderr=log, env=self._environment
            )
        while not _answers(self._port):
            if self._process.poll() is not None or time.perf_counter() - begun > _PATIENCE:
                raise SystemExit(f"{self._command[0]} did not start: see {folder / 'log'}")
            time.sleep(0.005)
        return time.perf_counter() - begun

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_PATIENCE)


class Lite:
    """server-lite, from this working copy."""

    name = "server-lite"

    def __init__(self, plan: Plan, folder: Path, certificate: Path | None = None) -> None:
        self._folder = folder
        port = free_port()
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
        settings = folder / "server.toml"
        settings.write_text(f'[devices]\ngateway_token = "{GATEWAY}"\n')
        settings.chmod(0o600)
        options = ["--data", "data", "--config", str(settings), "--listen", f"127.0.0.1:{port}"]
        if certificate is not None:
            options += ["--tls-cert", str(certificate), "--tls-key", str(certificate)]
        self._process = Process([sys.executable, "-c", _MAIN, "serve", *options], port, {})
        self._fill(plan)

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def start(self) -> float:
        """Start it."""
        return self._process.start(self._folder)

    def stop(self) -> None:
        """End it."""
        self._process.stop()

    def authorization(self, device: str) -> str:
        """Its target token."""
        return f"TargetToken token-of-{device}"

    def newcomer(self) -> str:
        """The gateway's token."""
        return f"GatewayToken {GATEWAY}"

    def _fill(self, plan: Plan) -> None:
        with occupied(self._folder / "data", create=True) as premises:
            assert premises is not None
            store, names = premises.store, plan.names()
            store.save(
                *(
                    Target(
                        id=store.new_id(Target),
                        controller_id=name,
                        token=proof(f"token-of-{name}"),
                        attributes={"board": "bench"},
                        wants_attributes=False,
                    )
                    for name in names
                )
            )
            for version, size, devices in _releases(plan):
                order = AddArtifact("fw.raucb", "os", version, size, {})
                premises.control.carry_out(order, io.BytesIO(bytes(size)))
                for device in devices:
                    premises.control.carry_out(Assign(device, f"os:{version}"))


class Goosebit:
    """goosebit from PyPI, in an environment of its own in the cache."""

    name = GOOSEBIT.replace("==", " ")

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._folder = folder
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        python = _environment()
        environment = {
            "GOOSEBIT_DB_URI": f"sqlite:///{folder / 'db.sqlite3'}",
            "GOOSEBIT_ARTIFACTS_DIR": str(folder / "artifacts"),
        }
        serve = ["-m", "uvicorn", "goosebit:app", "--host", "127.0.0.1", "--port", str(port)]
        quiet = ["--log-level", "warning", "--no-access-log"]
        self._process = Process([str(python), *serve, *quiet], port, environment)
        filling = [str(python), "-c", _FILL_GOOSEBIT, json.dumps(_filling(plan, folder))]
        subprocess.run(filling, cwd=folder, check=True, env={**os.environ, **environment})

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def start(self) -> float:
        """Start it."""
        return self._process.start(self._folder)

    def stop(self) -> None:
        """End it."""
        self._process.stop()

    def authorization(self, device: str) -> str:
        """None: it lets everybody in unless told otherwise, which is its cheapest way."""
        return ""

    def newcomer(self) -> str:
        """None."""
        return ""


class Hawkbit:
    """A hawkBit that runs already: its address, ``http://user:password@host:port``, and process."""

    name = "hawkBit"

    def __init__(self, plan: Plan, address: str, pid: int) -> None:
        found = urlsplit(address)
        self.pid = pid
        self.url = f"{found.scheme}://{found.hostname}:{found.port}"
        secret = f"{found.username}:{found.password}".encode()
        self._basic = "Basic " + base64.b64encode(secret).decode()
        self._fill(plan)

    def start(self) -> float:
        """It runs already."""
        return float("nan")

    def stop(self) -> None:
        """Others may need it."""

    def authorization(self, device: str) -> str:
        """Its target token."""
        return f"TargetToken token-of-{device}"

    def newcomer(self) -> str:
        """The gateway's token, which is set here."""
        return f"GatewayToken {GATEWAY}"

    def _fill(self, plan: Plan) -> None:
        for key, value in [("enabled", True), ("key", GATEWAY)]:
            place = f"system/configs/authentication.gatewaytoken.{key}"
            self._ask("PUT", place, {"value": value})
        names, stamp = plan.names(), int(time.time())
        for at in range(0, len(names), 500):
            some = names[at : at + 500]
            self._ask("POST", "targets", [_hawkbit_target(name) for name in some], 409)
        for version, size, devices in _releases(plan):
            mark = f"{version}-{stamp}"
            module = {"name": "bench", "version": mark, "type": "os"}
            key = self._ask("POST", "softwaremodules", [module])[0]["id"]
            self._upload(key, size)
            whole = {"name": "bench", "version": mark, "type": "os", "modules": [{"id": key}]}
            made = self._ask("POST", "distributionsets", [whole])[0]["id"]
            assigned = [{"id": device, "type": "forced"} for device in devices]
            self._ask("POST", f"distributionsets/{made}/assignedTargets", assigned)

    def _upload(self, module: int, size: int) -> None:
        edge = "edge-of-the-benchmark"
        disposition = 'Content-Disposition: form-data; name="file"; filename="fw.raucb"'
        head = f"--{edge}\r\n{disposition}\r\nContent-Type: application/octet-stream\r\n\r\n"
        body = head.encode() + bytes(size) + f"\r\n--{edge}--\r\n".encode()
        kind = f"multipart/form-data; boundary={edge}"
        self._send("POST", f"softwaremodules/{module}/artifacts", body, kind)

    def _ask(self, method: str, place: str, document: object, ignored: int = 0) -> Any:
        body = json.dumps(document).encode()
        answer = self._send(method, place, body, "application/json", ignored)
        return json.loads(answer) if answer else None

    def _send(self, method: str, place: str, body: bytes, kind: str, ignored: int = 0) -> bytes:
        headers = {"Authorization": self._basic, "Content-Type": kind}
        asked = urllib.request.Request(f"{self.url}/rest/v1/{place}", body, headers, method=method)
        try:
            with urllib.request.urlopen(asked) as answer:
                found: bytes = answer.read()
        except urllib.error.HTTPError as error:
            if error.code == ignored:
                return b""
            raise SystemExit(f"{asked.full_url} answered {error.code}: {error.read()!r}") from error
        return found


def _hawkbit_target(name: str) -> dict[str, str]:
    return {"controllerId": name, "name": name, "securityToken": f"token-of-{name}"}


def _releases(plan: Plan) -> list[tuple[str, int, list[str]]]:
    """Version, size and devices of each file; every device can stand in for another."""
    names = plan.names()
    busy, last = names[:BUSY], names[BUSY : BUSY + 1]
    return [("1.0.0", plan.small, busy), ("2.0.0", plan.large, last)]


def _filling(plan: Plan, folder: Path) -> dict[str, Any]:
    releases = []
    for version, size, devices in _releases(plan):
        file = folder / f"fw-{version}.raucb"
        file.write_bytes(bytes(size))
        digest = hashlib.sha1(bytes(size), usedforsecurity=False).hexdigest()
        releases.append([version, file.as_uri(), size, digest, devices])
    return {"names": plan.names(), "releases": releases}


_FILL_GOOSEBIT = """
import asyncio, json, sys
from tortoise import Tortoise
from goosebit.db.config import TORTOISE_CONF
from goosebit.db.models import Device, Hardware, Software, UpdateModeEnum, UpdateStateEnum

async def fill(plan):
    await Tortoise.init(config=TORTOISE_CONF)
    await Tortoise.generate_schemas()
    hardware = await Hardware.create(model="default", revision="default")
    common = {"hardware": hardware, "sw_version": "0.0.1", "last_state": UpdateStateEnum.REGISTERED}
    wanted = {}
    for version, uri, size, digest, devices in plan["releases"]:
        software = await Software.create(uri=uri, size=size, hash=digest, version=version)
        await software.compatibility.add(hardware)
        wanted.update(dict.fromkeys(devices, software))
    await Device.bulk_create([
        Device(id=name, assigned_software=wanted.get(name), **common,
               update_mode=UpdateModeEnum.ASSIGNED if name in wanted else UpdateModeEnum.ROLLOUT)
        for name in plan["names"]
    ], batch_size=500)
    await Tortoise.close_connections()

asyncio.run(fill(json.loads(sys.argv[1])))
"""
"""Run by goosebit's own interpreter: its models are the one description of its database."""


def _environment() -> Path:
    """The interpreter of an environment with goosebit, made once."""
    folder = cache.default_directory() / GOOSEBIT.replace("==", "-")
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", GOOSEBIT]
        subprocess.run(install, check=True)
        (folder / "ready").touch()
    return python


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
