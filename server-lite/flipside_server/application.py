"""The device application: every URL of the server on one screen, and who may come in."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import bottle
from bottle import Bottle, HTTPResponse

from flipside_server import ddi, downloads, views
from flipside_server.credentials import admits
from flipside_server.errors import (
    DeviceError,
    StorageError,
    StorageFullError,
    UnauthorizedError,
)
from flipside_server.target import Target
from flipside_server.visit import Desk, Visit, json_headers

TENANT = "DEFAULT"
_log = logging.getLogger(__name__)


def application(desk: Desk) -> Bottle:
    """The WSGI application that devices talk to."""
    app = Bottle()
    device = "/<tenant>/controller/v1/<controller_id>"
    artifact = f"{device}/softwaremodules/<module_id>/artifacts/<filename>"

    def route(rule: str, method: str, view: Callable[..., HTTPResponse]) -> None:
        app.route(rule, method, _admitting(desk, view))

    route(device, "GET", views.poll)
    route(f"{device}/configData", "PUT", views.put_attributes)
    route(f"{device}/deploymentBase/<action_id>", "GET", views.get_deployment)
    route(f"{device}/deploymentBase/<action_id>/feedback", "POST", views.post_feedback)
    route(f"{device}/installedBase/<action_id>", "GET", views.get_installed)
    route(f"{device}/cancelAction/<action_id>", "GET", views.get_cancellation)
    route(f"{device}/cancelAction/<action_id>/feedback", "POST", views.post_cancel_feedback)
    route(artifact.replace("<filename>", "<filename>.MD5SUM"), "GET", downloads.get_md5sum)
    route(artifact, "GET", downloads.get_artifact)
    app.default_error_handler = _json_error
    return app


def _admitting(desk: Desk, view: Callable[..., HTTPResponse]) -> Callable[..., HTTPResponse]:
    def handle(tenant: str, controller_id: str, **parts: str) -> HTTPResponse:
        try:
            visit = _visit(desk, tenant, controller_id)
            return view(desk, visit, **parts)
        except DeviceError as error:
            return _refusal(error)
        except StorageError as error:
            _log.error("%s", error)
            status = 507 if isinstance(error, StorageFullError) else 500
            return HTTPResponse(_message(str(error)), status, json_headers())

    return handle


def _visit(desk: Desk, tenant: str, controller_id: str) -> Visit:
    environ = bottle.request.environ
    target = next(iter(desk.store.find(Target, "controller_id", controller_id)), None)
    admitted = admits(target.token if target else None, environ.get("HTTP_AUTHORIZATION"))
    if target is None or not admitted or tenant.upper() != TENANT:
        raise UnauthorizedError("the target or its token is unknown")
    desk.contacts.note(controller_id, desk.clock())
    scheme, host = environ["wsgi.url_scheme"], environ.get("HTTP_HOST", "")
    return Visit(target, ddi.links(scheme, host, tenant, controller_id), environ)


def _refusal(error: DeviceError) -> HTTPResponse:
    if not error.code:
        return HTTPResponse(b"", error.status)
    return HTTPResponse(json.dumps(ddi.refusal(error)).encode(), error.status, json_headers())


def _message(text: str) -> bytes:
    return json.dumps({"message": text}).encode()


def _json_error(error: Any) -> bytes:
    # Never the path: it is the client's text (CVE-2020-27219 of hawkBit).
    for name, value in json_headers().items():
        bottle.response.set_header(name, value)
    return _message(error.status_line)
