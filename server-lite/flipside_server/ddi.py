"""The JSON documents of hawkBit's device protocol (DDI v1), made from records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from flipside_server.action import Action, State, Status, fingerprint
from flipside_server.errors import DeviceError, MalformedError, OperatorError, UnknownError
from flipside_server.software import Artifact, SoftwareModule
from flipside_server.target import AutoConfirm, Target
from flipside_server.terms import Offer

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
        return {"href": "/".join((self.base, *(str(part) for part in parts)))}


def links(scheme: str, host: str, tenant: str, controller_id: str) -> Links:
    """The links of a device that asked this host, or MalformedError: the host goes into hrefs."""
    if _HOST.fullmatch(host) is None:
        raise MalformedError("the Host header names no host")
    return Links(scheme, f"{scheme}://{host}/{tenant}/controller/v1/{_quoted(controller_id)}")


@lru_cache(maxsize=4096)
def _quoted(text: str) -> str:
    return quote(text)


def checked_sleep(text: str) -> str:
    """The polling interval, if clients can read it: both stock ones fail above 23:59:59."""
    if _SLEEP.fullmatch(text) is None or text == "00:00:00":
        raise OperatorError(
            f"the polling interval {text!r} cannot be used: give HH:MM:SS from 00:00:01 to 23:59:59"
        )
    return text


def base(
    target: Target, todo: tuple[Action, Offer] | None, sleep: str, at: Links, *, ask: bool
) -> Document:
    """The answer to a poll: how long to sleep, at most one thing to do, what else is wanted."""
    found: Document = _todo(*todo, at) if todo else {}
    if target.installed:
        found["installedBase"] = at.to("installedBase", target.installed)
    if ask:
        found["configData"] = at.to("configData")
    document: Document = {"config": {"polling": {"sleep": sleep}}}
    return {**document, "_links": found} if found else document


def _todo(action: Action, offer: Offer, at: Links) -> Document:
    match action.state:
        case State.CANCELING:
            # Without a query: SWUpdate appends /feedback to this href.
            return {"cancelAction": at.to("cancelAction", action.id)}
        case State.WAITING:
            return {"confirmationBase": _versioned("confirmationBase", action, offer, at)}
        case _:
            return {"deploymentBase": _versioned("deploymentBase", action, offer, at)}


def _versioned(resource: str, action: Action, offer: Offer, at: Links) -> Document:
    href = at.to(resource, action.id)["href"]
    return {"href": f"{href}?c={fingerprint(action, offer)}"}


def deployment(
    action: Action,
    offer: Offer,
    modules: Iterable[SoftwareModule],
    at: Links,
    member: str = "deployment",
) -> Document:
    """What is to be installed; under ``confirmation`` while that waits to be confirmed."""
    told: Document = {"download": offer.download, "update": offer.update}
    told["chunks"] = [_chunk(module, at) for module in modules]
    if offer.window:
        told["maintenanceWindow"] = offer.window
    return {"id": str(action.id), member: told}


def history(statuses: Iterable[Status], most: int) -> Document:
    """The last messages of an action, newest first (``actionHistory``)."""
    newest = sorted(statuses, key=lambda one: one.id, reverse=True)
    messages = [message for status in newest for message in reversed(status.messages)]
    kind = str(newest[0].kind).upper() if newest else ""
    return {"actionHistory": {"status": kind, "messages": messages[:most]}}


def confirmation(auto: AutoConfirm, todo: tuple[Action, Offer] | None, at: Links) -> Document:
    """Whether actions are confirmed beforehand, and what waits to be."""
    told: Document = {"active": auto.active}
    if auto.initiator is not None:
        told["initiator"] = auto.initiator
    if auto.remark is not None:
        told["remark"] = auto.remark
    switch = "deactivateAutoConfirm" if auto.active else "activateAutoConfirm"
    found = {switch: at.to("confirmationBase", switch)}
    if todo and todo[0].state is State.WAITING:
        found |= _todo(*todo, at)
    return {"autoConfirm": {**told, "activatedAt": auto.activated_at}, "_links": found}


def artifacts(module: SoftwareModule, at: Links) -> list[Document]:
    """The files of a module."""
    return [_artifact(module.id, artifact, at) for artifact in module.artifacts]


def cancellation(action: Action) -> Document:
    """What is to be stopped."""
    return {"id": str(action.id), "cancelAction": {"stopId": str(action.id)}}


def refusal(error: DeviceError) -> Document:
    """An error in hawkBit's shape."""
    told: Document = {
        "exceptionClass": f"flipside_server.errors.{type(error).__name__}",
        "errorCode": error.code,
        "message": str(error),
    }
    info = error.info if isinstance(error, UnknownError) else {}
    return {**told, "info": info} if info else told


def _chunk(module: SoftwareModule, at: Links) -> Document:
    chunk: Document = {
        "part": module.type,
        "version": module.version,
        "name": module.name,
        "artifacts": artifacts(module, at),
    }
    return {**chunk, "metadata": _metadata(module.metadata)} if module.metadata else chunk


def _metadata(metadata: Mapping[str, str]) -> list[Document]:
    return [{"key": key, "value": value} for key, value in metadata.items()]


def _artifact(module: int, artifact: Artifact, at: Links) -> Document:
    # hawkBit names the links of plain HTTP with a suffix; both stock clients read either.
    suffix = "" if at.scheme == "https" else "-http"
    place, filename = ("softwaremodules", module, "artifacts"), _quoted(artifact.filename)
    return {
        "filename": artifact.filename,
        "hashes": {"sha1": artifact.sha1, "md5": artifact.md5, "sha256": artifact.sha256},
        "size": artifact.size,
        "_links": {
            f"download{suffix}": at.to(*place, filename),
            f"md5sum{suffix}": at.to(*place, f"{filename}.MD5SUM"),
        },
    }
