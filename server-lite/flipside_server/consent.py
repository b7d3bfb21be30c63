"""The device's views of what has to be confirmed at the device (DDI confirmationBase)."""

from __future__ import annotations

from bottle import HTTPResponse

from flipside_server import action as actions
from flipside_server import ddi, feedback, target, terms
from flipside_server.action import State
from flipside_server.errors import HiddenError
from flipside_server.feedback import Answer, Confirmation
from flipside_server.store import Record
from flipside_server.target import AutoConfirm
from flipside_server.views import history
from flipside_server.visit import Desk, Visit, answer, done


def get_confirmation(desk: Desk, visit: Visit) -> HTTPResponse:
    """GET confirmationBase: whether all is confirmed beforehand, and what waits to be."""
    todo = desk.todo(visit, desk.own_actions(visit))
    return answer(visit, ddi.confirmation(visit.target.auto_confirm, todo, visit.links))


def get_proposal(desk: Desk, visit: Visit, action_id: str) -> HTTPResponse:
    """GET confirmationBase of an action: what is to be confirmed."""
    action = desk.own_action(visit, action_id)
    if action.state is not State.WAITING:
        raise HiddenError(f"action {action.id} does not wait for confirmation")
    offer = terms.offer(action.terms, visit.now)
    modules = desk.modules(action)
    document = ddi.deployment(action, offer, modules, visit.links, member="confirmation")
    return answer(visit, document | history(desk, visit, action))


def post_confirmation(desk: Desk, visit: Visit, action_id: str) -> HTTPResponse:
    """POST confirmationBase feedback."""
    said = feedback.read_confirmation(visit.document())
    with desk.store.exclusive():
        action = desk.own_action(visit, action_id)
        desk.save(visit, action, actions.confirm(action, said))
    return done()


def activate(desk: Desk, visit: Visit) -> HTTPResponse:
    """POST activateAutoConfirm: from now on, and what waits already."""
    document = visit.document(optional=True)
    with desk.store.exclusive():
        found = target.auto_confirming(desk.own_target(visit), document, visit.now)
        desk.store.save(found, *_confirmed(desk, visit))
    return done()


def deactivate(desk: Desk, visit: Visit) -> HTTPResponse:
    """POST deactivateAutoConfirm."""
    with desk.store.exclusive():
        desk.store.save(target.auto_confirmed(desk.own_target(visit), AutoConfirm()))
    return done()


def _confirmed(desk: Desk, visit: Visit) -> list[Record]:
    said = Answer(Confirmation.CONFIRMED, ("auto-confirmation was activated",))
    waiting = [one for one in desk.own_actions(visit) if one.state is State.WAITING]
    return [
        record
        for action in waiting
        for record in desk.entered(visit, action, actions.confirm(action, said))
    ]
