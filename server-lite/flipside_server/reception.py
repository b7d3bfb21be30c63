"""Who is at the door: finds the target of a request, lets it in, and registers a new one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from flipside_server import ddi
from flipside_server.admission import Verdict, admit
from flipside_server.errors import MalformedError, UnauthorizedError, UnknownError
from flipside_server.proxy import front, papers
from flipside_server.store import found_or_made
from flipside_server.target import CONTROLLER_ID, Target
from flipside_server.visit import Desk, Visit

TENANT = "DEFAULT"
_log = logging.getLogger(__name__)


def received(
    desk: Desk, environ: Mapping[str, Any], tenant: str, controller_id: str, *, newcomers: bool
) -> Visit:
    """The visit of a device that may come in; newcomers where a device begins."""
    target = _known(desk, controller_id)
    policy, proxy = desk.settings.admission, desk.settings.proxy
    kept = target.token if target else None
    verdict = admit(policy, controller_id, kept, papers(proxy, environ))
    if verdict is Verdict.REFUSED or tenant.upper() != TENANT:
        raise UnauthorizedError("the target or its credentials are unknown")
    now = desk.clock()
    if target is None:
        if not newcomers:
            raise UnknownError("the target is not registered: it has to poll first")
        target = _registered(desk, controller_id, now)
    desk.contacts.note(controller_id, now)
    seen = front(proxy, environ)
    return Visit(target, ddi.links(seen.scheme, seen.host, tenant, controller_id), environ, now)


def _known(desk: Desk, controller_id: str) -> Target | None:
    return next(iter(desk.store.find(Target, "controller_id", controller_id)), None)


def _registered(desk: Desk, controller_id: str, now: int) -> Target:
    if CONTROLLER_ID.fullmatch(controller_id) is None:
        raise MalformedError("the controller id has more than letters, digits and ._:@+~-")

    def made(key: int) -> Target:
        _log.info("registering target=%s", controller_id)
        return Target(key, controller_id, "", created=now)

    # Sixteen clients may register one device at once.
    return found_or_made(desk.store, Target, "controller_id", controller_id, made)
