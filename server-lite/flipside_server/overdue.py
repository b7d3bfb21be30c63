"""Held successes whose time is over: closed as errors by whoever meets them first."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from flipside_server import verdict
from flipside_server.action import Action, State, Status, status
from flipside_server.actor import acting
from flipside_server.store import Store
from flipside_server.target import Target

_log = logging.getLogger(__name__)


def closed_if_overdue(store: Store, actions: Iterable[Action], now: int) -> list[Action]:
    """Those of the actions that are open still, after the overdue ones were closed."""
    return [one for one in actions if not (_is_overdue(one, now) and _close(store, one.id, now))]


def close_all_overdue(store: Store, now: int) -> None:
    """Close every action that is overdue, also of devices that are never heard of again."""
    for action in store.all(Action):
        if _is_overdue(action, now):
            _close(store, action.id, now)


def _is_overdue(action: Action, now: int) -> bool:
    return action.state is State.INSTALLED and now >= action.held_until


def _close(store: Store, key: int, now: int) -> bool:
    with acting("server"), store.exclusive():
        action = store.get(Action, key)
        target = store.get(Target, action.target) if action else None
        change = verdict.overdue(action, target.shown, now) if action and target else None
        if change is None:
            return False
        store.save(change.action, status(store.new_id(Status), change, now))
    _log.warning("action=%d state=%s: the device never showed its version", key, State.ERROR)
    return True
