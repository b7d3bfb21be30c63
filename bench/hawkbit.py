"""A running hawkBit, as a peer of the benchmark."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from bench.peer import GATEWAY, Plan, releases


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
            self._ask("POST", "targets", [_target(name) for name in some], 409)
        for version, size, devices in releases(plan):
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


def _target(name: str) -> dict[str, str]:
    return {"controllerId": name, "name": name, "securityToken": f"token-of-{name}"}
