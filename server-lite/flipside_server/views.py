"""The device's side of the server, one function for each resource of DDI but the artifacts.

A view parses, loads, asks a pure core, saves and renders; who may come in was decided before
(:mod:`flipside_server.application`).
"""

from __future__ import annotations

import logging

from bottle import HTTPResponse

from flipside_server import action as actions
from flipside_server import ddi, feedback, target
from flipside_server.action import Action, State
from flipside_server.errors import UnknownError
from flipside_server.visit import Desk, Visit, answer, done

_log = logging.getLogger(__name__)


def poll(desk: Desk, visit: Visit) -> HTTPResponse:
    """GET base resource."""
    action = actions.current(desk.store.find(Action, "target", visit.target.id))
    return answer(visit, ddi.base(visit.target, action, desk.sleep, visit.links))


def put_attributes(desk: Desk, visit: Visit) -> HTTPResponse:
    """PUT configData."""
    document = visit.document()
    with desk.store.exclusive():
        described = target.described(desk.own_target(visit), document)
        desk.store.save(described)
    _log.info("attributes target=%s", described.controller_id)
    return done()


def get_deployment(desk: Desk, visit: Visit, action_id: str) -> HTTPResponse:
    """GET deploymentBase; the first time is noted in the history."""
    action = desk.own_action(visit, action_id)
    if action.state is not State.OPEN:
        raise UnknownError(f"action {action.id} is {action.state}")
    if not action.retrieved:
        _note_retrieval(desk, visit, action_id)
    return answer(visit, ddi.deployment(action, desk.modules(action), visit.links))


def get_installed(desk: Desk, visit: Visit, action_id: str) -> HTTPResponse:
    """GET installedBase: what a closed action brought."""
    action = desk.own_action(visit, action_id)
    if not action.closed or action.state is State.CANCELED:
        raise UnknownError(f"action {action.id} is {action.state}")
    return answer(visit, ddi.deployment(action, desk.modules(action), visit.links))


def post_feedback(desk: Desk, visit: Visit, action_id: str) -> HTTPResponse:
    """POST deploymentBase feedback."""
    said = feedback.read(visit.document())
    with desk.store.exclusive():
        action = desk.own_action(visit, action_id)
        change = actions.accept(action, said)
        if change.action.state is State.FINISHED:
            desk.save(visit, action, change, target.updated(desk.own_target(visit), action.id))
        else:
            desk.save(visit, action, change)
    return done()


def get_cancellation(desk: Desk, visit: Visit, action_id: str) -> HTTPResponse:
    """GET cancelAction."""
    action = desk.own_action(visit, action_id)
    if action.state not in (State.CANCELING, State.CANCELED):
        raise UnknownError(f"nobody asked to cancel action {action.id}")
    return answer(visit, ddi.cancellation(action))


def post_cancel_feedback(desk: Desk, visit: Visit, action_id: str) -> HTTPResponse:
    """POST cancelAction feedback."""
    said = feedback.read(visit.document())
    with desk.store.exclusive():
        action = desk.own_action(visit, action_id)
        change = actions.accept_cancel(action, said)
        if change is not None:
            desk.save(visit, action, change)
    return done()


def _note_retrieval(desk: Desk, visit: Visit, action_id: str) -> None:
    with desk.store.exclusive():
        action = desk.own_action(visit, action_id)
        change = actions.retrieve(action)
        if change is not None:
            desk.save(visit, action, change)
