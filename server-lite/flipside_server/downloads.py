"""The device's views of artifacts: whole files, ranges of them, and their MD5SUM."""

from __future__ import annotations

import logging
from email.utils import formatdate
from typing import Any

from bottle import HTTPResponse

from flipside_server import byte_range
from flipside_server.action import Action
from flipside_server.byte_range import Span
from flipside_server.errors import MismatchError, RangeError, UnknownError
from flipside_server.software import Artifact
from flipside_server.visit import Desk, Visit, number

_log = logging.getLogger(__name__)


def get_artifact(desk: Desk, visit: Visit, module_id: str, filename: str) -> HTTPResponse:
    """GET or HEAD an artifact, whole or one range of it."""
    artifact = _entitled(desk, visit, number(module_id), filename)
    headers = _headers(artifact)
    if not byte_range.matches(visit.header("If-Match"), headers["ETag"]):
        raise MismatchError("the artifact has another ETag")
    try:
        span = _wanted_span(visit, artifact.size, headers)
    except RangeError:
        headers["Content-Range"] = f"bytes */{artifact.size}"
        return HTTPResponse(b"", 416, headers)
    part = span or Span(0, artifact.size)
    headers["Content-Length"] = str(part.length)
    if span is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{artifact.size}"
    if visit.method == "HEAD":
        return HTTPResponse(b"", 200, headers)
    body: Any = desk.artifacts.download(artifact.sha256, part)
    if span is None:
        _log.info("download target=%s file=%s", visit.target.controller_id, artifact.filename)
    return HTTPResponse(body, 206 if span else 200, headers)


def get_md5sum(desk: Desk, visit: Visit, module_id: str, filename: str) -> HTTPResponse:
    """GET the MD5SUM file beside an artifact."""
    artifact = _entitled(desk, visit, number(module_id), filename)
    headers = {
        "Content-Type": "text/plain;charset=UTF-8",
        "Content-Disposition": f"attachment;filename={artifact.filename}.MD5SUM",
    }
    return HTTPResponse(f"{artifact.md5}  {artifact.filename}".encode(), 200, headers)


def _entitled(desk: Desk, visit: Visit, module_id: int, filename: str) -> Artifact:
    # The latest action first: it is the one that is being installed.
    for action in reversed(desk.store.find(Action, "target", visit.target.id)):
        for module in desk.modules(action):
            for artifact in module.artifacts:
                if module.id == module_id and artifact.filename == filename:
                    return artifact
    raise UnknownError("there is no such artifact for this target")


def _headers(artifact: Artifact) -> dict[str, str]:
    return {
        "ETag": f'"{artifact.sha1}"',
        "Last-Modified": formatdate(artifact.created // 1000, usegmt=True),
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f"attachment;filename={artifact.filename}",
        "X-Content-Type-Options": "nosniff",
    }


def _wanted_span(visit: Visit, size: int, headers: dict[str, str]) -> Span | None:
    # Range is defined for GET alone (RFC 9110, section 14.2).
    if visit.method != "GET":
        return None
    if_range = visit.header("If-Range")
    if not byte_range.applies(if_range, headers["ETag"], headers["Last-Modified"]):
        return None
    return byte_range.wanted(visit.header("Range"), size)
