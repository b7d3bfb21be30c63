"""The device's side of the server, one function for each resource of DDI but the artifacts.

A view parses, loads, asks a pure core, saves and renders; who may come in was decided before
(:mod:`flipside_server.reception`). What a device shows of itself is in
:mod:`flipside_server.evidence`, what it confirms in :mod:`flipside_server.consent`.
"""

from __future__ import annotations

import re

from bottle import HTTPResponse

from flipside_server import action as actions
from flipside_server import ddi, feedback, target, terms
from flipside_server.action import Action, State, Status
from flipside_server.duration import seconds, written
from flipside_server.errors import HiddenError, MalformedError, UnknownError
from flipside_server.terms import AS_CONFIGURED, Offer, verifies_boot
from flipside_server.visit import Desk, Visit, answer, done

MOST_HISTORY = 100
"""Messages of an action that are told to its device, as in hawkBit."""


def poll(desk: Desk, visit: Visit) -> HTTPResponse:
    """GET base resource."""
    found = desk.own_actions(visit)
    todo = desk.todo(visit, found)
    held = any(action.state is State.INSTALLED for action in found)
    ask = visit.target.wants_attributes or held
    return answer(visit, ddi.base(visit.target, todo, _sleep(desk, todo), visit.links, ask=ask))


def _sleep(desk: Desk, todo: tuple[Action, Offer] | None) -> str:
    """The polling interval, cut short where a maintenance window opens before its end."""
    usual = desk.settings.sleep
    if todo is None or todo[1].opens is None:
        return usual
    return written(min(seconds(usual), todo[1].opens // 1000 + 1))


def get_deployment(desk: Desk, visit: Visit, action_id: str) -> HTTPResponse:
    """GET deploymentBase; the first time is noted in the history."""
    action = desk.own_action(visit, action_id)
    offer = desk.offer(visit, action) if action.state is State.OPEN else None
    if offer is None:
        raise HiddenError(f"action {action.id} is {action.state} and asks nothing of the device")
    if not action.retrieved:
        _note_retrieval(desk, visit, action_id)
    document = ddi.deployment(action, offer, desk.modules(action), visit.links)
    return answer(visit, document | history(desk, visit, action))


def get_installed(desk: Desk, visit: Visit, action_id: str) -> HTTPResponse:
    """GET installedBase: what a closed action brought."""
    action = desk.own_action(visit, action_id)
    if not action.closed or action.state is State.CANCELED:
        raise UnknownError(f"action {action.id} is {action.state}")
    offer = terms.offer(action.terms, visit.now)
    document = ddi.deployment(action, offer, desk.modules(action), visit.links)
    return answer(visit, document | history(desk, visit, action))


def post_feedback(desk: Desk, visit: Visit, action_id: str) -> HTTPResponse:
    """POST deploymentBase feedback."""
    said = feedback.read(visit.document())
    with desk.store.exclusive():
        action = desk.own_action(visit, action_id)
        change = actions.accept(action, said, visit.now, _hold(desk, visit, action))
        match change.action.state:
            case State.FINISHED:
                desk.save(visit, action, change, target.updated(desk.own_target(visit), action.id))
            case State.DOWNLOADED:
                desk.save(visit, action, change, target.asked(desk.own_target(visit)))
            case _:
                desk.save(visit, action, change)
    return done()


def _hold(desk: Desk, visit: Visit, action: Action) -> int:
    """Seconds for which a success of this action is held."""
    rule = desk.settings.hold
    if action.terms.hold != AS_CONFIGURED:
        return action.terms.hold
    return rule.limit if rule.always and not verifies_boot(visit.agent) else 0


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


def history(desk: Desk, visit: Visit, action: Action) -> ddi.Document:
    """What the device asked to be told of the past (``?actionHistory=``)."""
    wanted = visit.query("actionHistory")
    if not wanted:
        return {}
    if re.fullmatch(r"-?[0-9]{1,9}", wanted) is None:
        raise MalformedError("actionHistory is a number")
    most = int(wanted)
    if not most:
        return {}
    return ddi.history(
        desk.store.find(Status, "action", action.id), MOST_HISTORY if most < 0 else most
    )
