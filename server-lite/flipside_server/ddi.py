"""The JSON documents of hawkBit's device protocol (DDI v1), made from records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from flipside_server.action import Action, State, fingerprint
from flipside_server.errors import DeviceError, MalformedError, OperatorError
from flipside_server.software import Artifact, SoftwareModule
from flipside_server.target import Target

Document = dict[str, Any]
_HOST = re.compile(r"([A-Za-z0-9_.-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
_SLEEP = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]")


@dataclass(frozen=True, slots=True)
class Links:
    """Absolute addresses of one device's resources, as the device reached the server."""

    scheme: str
    base: str
    """Address of the base resource; the tenant is spelled as the device spells it."""

    def to(self, *parts: object) -> Document:
        """A link to a resource below the base."""
        path = "".join(f"/{quote(str(part))}" for part in parts)
        return {"href": self.base + path}


def links(scheme: str, host: str, tenant: str, controller_id: str) -> Links:
    """The links of a device that asked this host, or MalformedError: the host goes into hrefs."""
    if _HOST.fullmatch(host) is None:
        raise MalformedError("the Host header names no host")
    return Links(scheme, f"{scheme}://{host}/{tenant}/controller/v1/{quote(controller_id)}")


def checked_sleep(text: str) -> str:
    """The polling interval, if clients can read it: both stock ones fail above 23:59:59."""
    if _SLEEP.fullmatch(text) is None or text == "00:00:00":
        raise OperatorError(
            f"the polling interval {text!r} cannot be used: give HH:MM:SS from 00:00:01 to 23:59:59"
        )
    return text


def base(target: Target, action: Action | None, sleep: str, at: Links) -> Document:
    """The answer to a poll: how long to sleep, and at most one thing to do."""
    found: Document = {}
    if action is not None and action.state is State.CANCELING:
        # Without a query: SWUpdate appends /feedback to this href.
        found["cancelAction"] = at.to("cancelAction", action.id)
    elif action is not None:
        href = at.to("deploymentBase", action.id)["href"]
        found["deploymentBase"] = {"href": f"{href}?c={fingerprint(action)}"}
    if target.installed:
        found["installedBase"] = at.to("installedBase", target.installed)
    if target.wants_attributes:
        found["configData"] = at.to("configData")
    document: Document = {"config": {"polling": {"sleep": sleep}}}
    return {**document, "_links": found} if found else document


def deployment(action: Action, modules: Iterable[SoftwareModule], at: Links) -> Document:
    """What is to be installed."""
    chunks = [_chunk(module, at) for module in modules]
    return {
        "id": str(action.id),
        "deployment": {"download": "forced", "update": "forced", "chunks": chunks},
    }


def cancellation(action: Action) -> Document:
    """What is to be stopped."""
    return {"id": str(action.id), "cancelAction": {"stopId": str(action.id)}}


def refusal(error: DeviceError) -> Document:
    """An error in hawkBit's shape."""
    return {
        "exceptionClass": f"flipside_server.errors.{type(error).__name__}",
        "errorCode": error.code,
        "message": str(error),
    }


def _chunk(module: SoftwareModule, at: Links) -> Document:
    chunk: Document = {
        "part": module.type,
        "version": module.version,
        "name": module.name,
        "artifacts": [_artifact(module.id, artifact, at) for artifact in module.artifacts],
    }
    return {**chunk, "metadata": _metadata(module.metadata)} if module.metadata else chunk


def _metadata(metadata: Mapping[str, str]) -> list[Document]:
    return [{"key": key, "value": value} for key, value in metadata.items()]


def _artifact(module: int, artifact: Artifact, at: Links) -> Document:
    # hawkBit names the links of plain HTTP with a suffix; both stock clients read either.
    suffix = "" if at.scheme == "https" else "-http"
    place = ("softwaremodules", module, "artifacts")
    return {
        "filename": artifact.filename,
        "hashes": {"sha1": artifact.sha1, "md5": artifact.md5, "sha256": artifact.sha256},
        "size": artifact.size,
        "_links": {
            f"download{suffix}": at.to(*place, artifact.filename),
            f"md5sum{suffix}": at.to(*place, f"{artifact.filename}.MD5SUM"),
        },
    }
