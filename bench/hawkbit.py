"""A running hawkBit, as a peer of the benchmark."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.peer import GATEWAY, Plan, Started, releases
from bench.process import listening_on, resident, spent

from flipside_qemu.update_server import free_port


class Hawkbit:
    """A hawkBit that runs already at this address, ``http://user:password@127.0.0.1:port``."""

    name = "hawkBit"

    def __init__(self, plan: Plan, address: str) -> None:
        found = urlsplit(address)
        self.pid = listening_on(found.port or 80)
        self.url = f"{found.scheme}://{found.hostname}:{found.port}"
        secret = f"{found.username}:{found.password}".encode()
        self._basic = "Basic " + base64.b64encode(secret).decode()
        self._fill(plan)

    def start(self) -> float:
        """It runs already."""
        return 0.0

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
        names = plan.names()
        for at in range(0, len(names), 500):
            some = names[at : at + 500]
            self._ask("POST", "targets", [_target(name) for name in some])
        for version, size, devices in releases(plan):
            mark = f"{version}-{plan.stem}"
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

    def _ask(self, method: str, place: str, document: object) -> Any:
        body = json.dumps(document).encode()
        answer = self._send(method, place, body, "application/json")
        return json.loads(answer) if answer else None

    def _send(self, method: str, place: str, body: bytes, kind: str) -> bytes:
        headers = {"Authorization": self._basic, "Content-Type": kind}
        asked = urllib.request.Request(f"{self.url}/rest/v1/{place}", body, headers, method=method)
        try:
            with urllib.request.urlopen(asked) as answer:
                found: bytes = answer.read()
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{asked.full_url} answered {error.code}: {error.read()!r}") from error
        return found


def cold_start(command: list[str], folder: Path) -> tuple[float, float, int]:
    """Seconds until one more of it has answered, its processor seconds, and bytes in memory."""
    port = free_port()
    started = Started(folder, port, [*command, f"--server.port={port}"], {})
    try:
        return started.start(), spent(started.pid), resident(started.pid)
    finally:
        started.stop()


def _target(name: str) -> dict[str, str]:
    return {"controllerId": name, "name": name, "securityToken": f"token-of-{name}"}
