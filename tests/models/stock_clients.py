"""The two stock DDI clients, as they were seen on the wire: what they send, need and make of it."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import Any

from models.ddi_device import Answer, Device


class Upset(AssertionError):
    """The client would have failed, hung or told the operator something wrong."""


def interval(base: Any) -> int:
    """Seconds that both clients read out of ``sleep``; with anything else they go astray."""
    found = time.strptime(base["config"]["polling"]["sleep"], "%H:%M:%S")
    return found.tm_hour * 3600 + found.tm_min * 60 + found.tm_sec


@dataclass
class RaucHawkbitUpdater:
    """rauc-hawkbit-updater 1.4: reports success right after installing, before any reboot."""

    device: Device
    attributes: dict[str, str] = field(default_factory=lambda: {"hw_boardname": "board-a"})
    works: bool = True
    """What RAUC says of the bundle."""
    kept: bytes = b""
    """The bundle that lies downloaded, not installed."""
    installed: list[str] = field(default_factory=list)

    def poll(self) -> int:
        """One poll and all that follows from it; seconds until the next."""
        base = self._get("")
        links = base.get("_links", {})
        if "configData" in links:
            self._tell("PUT", "/configData", {"data": self.attributes, "time": "20261123T081755"})
        if "deploymentBase" in links:
            self._deploy(self._get(links["deploymentBase"]["href"]))
        if "cancelAction" in links:
            stop = self._get(links["cancelAction"]["href"])["cancelAction"]["stopId"]
            self._report("cancelAction", stop, "closed", "success", "Action canceled.")
        return interval(base)

    def _deploy(self, offer: Any) -> None:
        key, deployment = offer["id"], offer["deployment"]
        if key in self.installed:
            raise Upset("it is told to install the same again, and does, for ever")
        (chunk,) = deployment["chunks"]
        (artifact,) = chunk["artifacts"]
        if not self.kept:
            self.kept = self._download(key, artifact)
        if deployment["update"] == "skip":
            if "maintenanceWindow" not in deployment:
                self._report("deploymentBase", key, "downloaded", "success", "Download complete.")
            return
        for step in ["installing", "  0% Installing", " 44% Checking bundle", "100% done.", "idle"]:
            self._report("deploymentBase", key, "proceeding", "none", step)
        self.installed.append(key)
        self.kept = b""
        finished = "success" if self.works else "failure"
        self._report("deploymentBase", key, "closed", finished, "Software bundle installed.")

    def _download(self, key: str, artifact: Any) -> bytes:
        links = artifact["_links"]
        href = (links.get("download") or links["download-http"])["href"]
        answer = self.device.get(href, Accept="application/octet-stream", **self._headers())
        if answer.status not in (200, 206, 416):
            raise Upset(f"download answered {answer.status}")
        for said in ["Download complete. 65.21 MB/s", "File checksum OK."]:
            self._report("deploymentBase", key, "proceeding", "none", said)
        if hashlib.sha1(answer.body).hexdigest() != artifact["hashes"]["sha1"]:
            raise Upset("the checksum is wrong")
        return answer.body

    def _report(self, resource: str, key: str, execution: str, finished: str, said: str) -> None:
        status = {"result": {"finished": finished}, "execution": execution, "details": [said]}
        body = {"id": key, "time": "20261123T081755", "status": status}
        self._tell("POST", f"/{resource}/{key}/feedback", body)

    def _get(self, place: str) -> Any:
        accept = {"Accept": "application/json;charset=UTF-8"}
        return self._exact(self.device.get(place, **accept, **self._headers())).json

    def _tell(self, method: str, place: str, body: Any) -> None:
        self._exact(self.device.call(method, place, body, self._headers()))

    def _exact(self, answer: Answer) -> Answer:
        if answer.status != 200:
            raise Upset(f"only 200 is success, this was {answer.status}")
        return answer

    def _headers(self) -> dict[str, str]:
        return {"User-Agent": "rauc-hawkbit-c-agent/1.0"}


@dataclass
class SWUpdate:
    """SWUpdate's suricatta: reports after the reboot, and takes ``skip`` for done."""

    device: Device
    attributes: dict[str, str] = field(default_factory=lambda: {"board": "b"})
    pending: int = 0
    """The action that is installed and awaits its reboot."""
    skipped: list[int] = field(default_factory=list)

    def start(self) -> None:
        """After every start it polls and sends its attributes, asked or not."""
        self._get("")
        body = {"id": "", "time": "x", "mode": "replace", "status": {}, "data": self.attributes}
        self._tell("PUT", "/configData", body)

    def poll(self) -> int:
        """One poll and all that follows from it; seconds until the next."""
        base = self._get("")
        links = base.get("_links", {})
        if "cancelAction" in links:
            href = links["cancelAction"]["href"]
            stop = int(self._get(href)["cancelAction"]["stopId"])
            self._report(href, stop, "closed", "success", ["cancellation acknowledged."])
            self.pending = 0
        elif "deploymentBase" in links:
            self._get(links["deploymentBase"]["href"])
            self._deploy(self._get(links["deploymentBase"]["href"]))
        return interval(base)

    def reboot(self, finished: str) -> bool:
        """Tell how the installed update came up; whether the server asked for it at all."""
        links = self._get("").get("_links", {})
        if "deploymentBase" not in links:
            return False
        offer = self._get(links["deploymentBase"]["href"])
        self._report(self._place(offer["id"]), int(offer["id"]), "closed", finished, ["Installed."])
        self.pending = 0
        return True

    def _deploy(self, offer: Any) -> None:
        key, deployment = int(offer["id"]), offer["deployment"]
        if not 0 < key < 2**31:
            raise Upset("it reads the id into a C int")
        if deployment["update"] == "skip":
            self.skipped.append(key)
            self._report(self._place(key), key, "closed", "success", ["Skipped Update."])
        elif not self.pending:
            self._install(key, deployment)

    def _install(self, key: int, deployment: Any) -> None:
        self._report(self._place(key), key, "proceeding", "none", ["Installing Update Chunk."])
        for chunk in deployment["chunks"]:
            for artifact in chunk["artifacts"]:
                self._fetch(artifact)
        lines = [f"[INFO ] : line {number} " + "x" * 90 for number in range(48)]
        self._report(self._place(key), key, "proceeding", "none", lines)
        self._report(self._place(key), key, "proceeding", "none", ["All Chunks Installed."])
        self.pending = key

    def _fetch(self, artifact: Any) -> None:
        links = artifact["_links"]
        href = (links.get("download") or links["download-http"])["href"]
        head = self.device.call("HEAD", href, headers=self._headers())
        if int(head.headers["content-length"]) != artifact["size"]:
            raise Upset("HEAD gives another size")
        body = self.device.get(href, **self._headers()).body
        if hashlib.sha1(body).hexdigest() != artifact["hashes"]["sha1"]:
            raise Upset("the checksum is wrong")

    def _place(self, key: object) -> str:
        return f"/deploymentBase/{key}"

    def _report(
        self, place: str, key: int, execution: str, finished: str, details: list[str]
    ) -> None:
        result = {"progress": {"cnt": 0, "of": 1}, "finished": finished}
        status = {"result": result, "execution": execution, "details": details}
        self._tell("POST", f"{place}/feedback", {"id": key, "time": "x", "status": status})

    def _get(self, place: str) -> Any:
        answer = self.device.get(place, **self._headers())
        if answer.status != 200:
            raise Upset(f"GET answered {answer.status}")
        return answer.json

    def _tell(self, method: str, place: str, body: Any) -> None:
        answer = self.device.call(method, place, body, self._headers())
        if answer.status not in (200, 201, 204):
            raise Upset(f"answered {answer.status}, and it starts over at every poll")

    def _headers(self) -> dict[str, str]:
        return {
            "User-Agent": "libcurl-agent/1.0",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
