"""The device's views of artifacts: whole files, ranges of them, and their MD5SUM."""

from __future__ import annotations

import logging
import secrets
from email.utils import formatdate
from typing import Any

from bottle import HTTPResponse

from flipside_server import byte_range, ddi, multipart
from flipside_server.action import Action
from flipside_server.byte_range import Span
from flipside_server.errors import HiddenError, MismatchError, RangeError, UnknownError
from flipside_server.multipart import Parts
from flipside_server.software import Artifact, SoftwareModule
from flipside_server.visit import Desk, Visit, answer, number

_log = logging.getLogger(__name__)


def get_artifacts(desk: Desk, visit: Visit, module_id: str) -> HTTPResponse:
    """GET the list of a module's artifacts."""
    return answer(visit, ddi.artifacts(_entitled(desk, visit, number(module_id)), visit.links))


def get_artifact(desk: Desk, visit: Visit, module_id: str, filename: str) -> HTTPResponse:
    """GET or HEAD an artifact: whole, one range of it, or several."""
    artifact = _file(_entitled(desk, visit, number(module_id)), filename)
    headers = _headers(artifact)
    if not byte_range.matches(visit.header("If-Match"), headers["ETag"]):
        raise MismatchError("the artifact has another ETag")
    if byte_range.known(visit.header("If-None-Match"), headers["ETag"]):
        return HTTPResponse(b"", 304, {"ETag": headers["ETag"]})
    try:
        spans = _wanted_spans(visit, artifact.size, headers)
    except RangeError:
        headers |= {"Content-Range": f"bytes */{artifact.size}", "Content-Length": "0"}
        return HTTPResponse(b"", 416, headers)
    if len(spans) > 1:
        return _several(desk, artifact, spans, headers)
    return _one(desk, visit, artifact, spans, headers)


def _one(
    desk: Desk,
    visit: Visit,
    artifact: Artifact,
    spans: tuple[Span, ...],
    headers: dict[str, str],
) -> HTTPResponse:
    span = spans[0] if spans else Span(0, artifact.size)
    headers["Content-Length"] = str(span.length)
    if spans:
        headers["Content-Range"] = span.of(artifact.size)
    if visit.method == "HEAD":
        return HTTPResponse(b"", 200, headers)
    body: Any = desk.artifacts.download(artifact.sha256, span)
    if not spans:
        _log.info("download target=%s file=%s", visit.target.controller_id, artifact.filename)
    return HTTPResponse(body, 206 if spans else 200, headers)


def _several(
    desk: Desk, artifact: Artifact, spans: tuple[Span, ...], headers: dict[str, str]
) -> HTTPResponse:
    parts = Parts(spans, artifact.size, secrets.token_hex(16))
    headers["Content-Type"] = f"multipart/byteranges; boundary={parts.boundary}"
    headers["Content-Length"] = str(parts.length)
    # Asked for here: at a desk that has no files, that ends the request before its answer begins.
    download = desk.artifacts.download
    body = multipart.body(parts, lambda span: download(artifact.sha256, span))
    return HTTPResponse(body, 206, headers)


def get_md5sum(desk: Desk, visit: Visit, module_id: str, filename: str) -> HTTPResponse:
    """GET the MD5SUM file beside an artifact."""
    artifact = _file(_entitled(desk, visit, number(module_id)), filename)
    headers = {
        "Content-Type": "text/plain;charset=UTF-8",
        "Content-Disposition": f"attachment;filename={artifact.filename}.MD5SUM",
    }
    return HTTPResponse(f"{artifact.md5}  {artifact.filename}".encode(), 200, headers)


def _entitled(desk: Desk, visit: Visit, module_id: int) -> SoftwareModule:
    # The latest action first: it is the one that is being installed.
    for action in reversed(desk.store.find(Action, "target", visit.target.id)):
        for module in desk.modules(action):
            if module.id == module_id:
                return module
    raise UnknownError("there is no such software module for this target")


def _file(module: SoftwareModule, filename: str) -> Artifact:
    for artifact in module.artifacts:
        if artifact.filename == filename:
            return artifact
    raise HiddenError("there is no such artifact in the software module")


def _headers(artifact: Artifact) -> dict[str, str]:
    return {
        "ETag": f'"{artifact.sha1}"',
        "Last-Modified": formatdate(artifact.created // 1000, usegmt=True),
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f"attachment;filename={artifact.filename}",
        "X-Content-Type-Options": "nosniff",
    }


def _wanted_spans(visit: Visit, size: int, headers: dict[str, str]) -> tuple[Span, ...]:
    # Range is defined for GET alone (RFC 9110, section 14.2).
    if visit.method != "GET":
        return ()
    if_range = visit.header("If-Range")
    if not byte_range.applies(if_range, headers["ETag"], headers["Last-Modified"]):
        return ()
    return byte_range.wanted(visit.header("Range"), size)
