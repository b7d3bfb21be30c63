"""Held successes whose time is over: closed as errors by whoever meets them first."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from flipside_server.action import Action, State, Status, status
from flipside_server.actor import acting
from flipside_server.store import Store
from flipside_server.target import Target
from flipside_server.verdict import is_overdue, overdue

_log = logging.getLogger(__name__)


def closed_if_overdue(store: Store, actions: Iterable[Action], now: int) -> list[Action]:
    """Those of the actions that are open still, after the overdue ones were closed."""
    return [one for one in actions if not (is_overdue(one, now) and _close(store, one.id, now))]


def close_all_overdue(store: Store, now: int) -> None:
    """Close every action that is overdue, also of devices that are never heard of again."""
    for action in store.all(Action):
        if is_overdue(action, now):
            _close(store, action.id, now)


def _close(store: Store, key: int, now: int) -> bool:
    with acting("server"), store.exclusive():
        action = store.get(Action, key)
        target = store.get(Target, action.target) if action else None
        # It may have shown its version since it was looked at.
        if action is None or target is None or not is_overdue(action, now):
            return False
        change = overdue(action, target.shown)
        store.save(change.action, status(store.new_id(Status), change, now))
    _log.warning("action=%d state=%s: the device never showed its version", key, State.ERROR)
    return True
