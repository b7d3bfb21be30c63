"""The device application: every URL of the device protocol on one screen, and who may come in."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import bottle
from bottle import Bottle, HTTPResponse

from flipside_server import consent, ddi, downloads, evidence, views
from flipside_server.errors import DeviceError, StorageError, StorageFullError
from flipside_server.reception import received
from flipside_server.visit import Desk, done, json_headers

_log = logging.getLogger(__name__)


def application(desk: Desk) -> Bottle:
    """The WSGI application that devices talk to."""
    app = Bottle()
    device = "/<tenant>/controller/v1/<controller_id>"
    deployment = f"{device}/deploymentBase/<action_id>"
    cancellation = f"{device}/cancelAction/<action_id>"
    consents = f"{device}/confirmationBase"
    artifacts = f"{device}/softwaremodules/<module_id>/artifacts"

    def route(
        rule: str, method: str, view: Callable[..., HTTPResponse], *, newcomers: bool = False
    ) -> None:
        app.route(rule, method, _admitting(desk, view, newcomers=newcomers))

    route(device, "GET", views.poll, newcomers=True)
    route(f"{device}/configData", "PUT", evidence.put_attributes)
    route(deployment, "GET", views.get_deployment)
    route(f"{deployment}/feedback", "POST", views.post_feedback)
    route(f"{device}/installedBase", "PUT", evidence.put_installed)
    route(f"{device}/installedBase/<action_id>", "GET", views.get_installed)
    route(cancellation, "GET", views.get_cancellation)
    route(f"{cancellation}/feedback", "POST", views.post_cancel_feedback)
    route(consents, "GET", consent.get_confirmation, newcomers=True)
    route(f"{consents}/activateAutoConfirm", "POST", consent.activate)
    route(f"{consents}/deactivateAutoConfirm", "POST", consent.deactivate)
    route(f"{consents}/<action_id>", "GET", consent.get_proposal)
    route(f"{consents}/<action_id>/feedback", "POST", consent.post_confirmation)
    route(artifacts, "GET", downloads.get_artifacts)
    route(f"{artifacts}/<filename>.MD5SUM", "GET", downloads.get_md5sum)
    route(f"{artifacts}/<filename>", "GET", downloads.get_artifact)
    app.default_error_handler = _json_error
    return app


def _admitting(
    desk: Desk, view: Callable[..., HTTPResponse], *, newcomers: bool
) -> Callable[..., HTTPResponse]:
    def handle(tenant: str, controller_id: str, **parts: str) -> HTTPResponse:
        environ = bottle.request.environ
        try:
            visit = received(desk, environ, tenant, controller_id, newcomers=newcomers)
            return view(desk, visit, **parts)
        except DeviceError as error:
            return _refusal(error)
        except StorageError as error:
            _log.error("%s", error)
            status = 507 if isinstance(error, StorageFullError) else 500
            return HTTPResponse(_message(str(error)), status, json_headers())

    return handle


def _refusal(error: DeviceError) -> HTTPResponse:
    if not error.code:
        return done(error.status)
    return HTTPResponse(json.dumps(ddi.refusal(error)).encode(), error.status, json_headers())


def _message(text: str) -> bytes:
    return json.dumps({"message": text}).encode()


def _json_error(error: Any) -> bytes:
    # Never the path: it is the client's text (CVE-2020-27219 of hawkBit).
    for name, value in json_headers().items():
        bottle.response.set_header(name, value)
    return _message(error.status_line)
