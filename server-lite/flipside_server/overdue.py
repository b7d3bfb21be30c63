"""The serving process looks now and then for held successes whose time is over."""

from __future__ import annotations

import logging
from collections.abc import Callable

from flipside_server.action import Action, State, Status, status
from flipside_server.actor import acting
from flipside_server.duration import seconds
from flipside_server.errors import StorageError
from flipside_server.store import Store
from flipside_server.target import Target
from flipside_server.verdict import is_overdue, overdue

PAUSE = 60_000
"""Milliseconds between two looks: a limit is at most exceeded by this."""
_GRACE = 2
"""Polls that a device may have after a start of the server, which it may have waited for."""
_log = logging.getLogger(__name__)


class Rounds:
    """Closes what is overdue as an error, also if the device is never heard of again."""

    def __init__(self, store: Store, clock: Callable[[], int], due: int) -> None:
        self._store = store
        self._clock = clock
        self._due = due
        """When to look next, in milliseconds since 1970."""

    @classmethod
    def begun(cls, store: Store, clock: Callable[[], int], sleep: str) -> Rounds:
        """The rounds of a server that starts now and tells devices to poll that often."""
        return cls(store, clock, clock() + _GRACE * 1000 * seconds(sleep))

    def go(self) -> None:
        """Look, if it is time to; what cannot be kept now is tried again the next time."""
        now = self._clock()
        if now < self._due:
            return
        self._due = now + PAUSE
        try:
            for action in self._store.all(Action):
                if is_overdue(action, now):
                    self._close(action.id, now)
        except StorageError as error:
            _log.error("%s", error)

    def _close(self, key: int, now: int) -> None:
        with acting("server"), self._store.exclusive():
            action = self._store.get(Action, key)
            target = self._store.get(Target, action.target) if action else None
            # It may have shown its version since it was looked at.
            if action is None or target is None or not is_overdue(action, now):
                return
            change = overdue(action, target.shown)
            self._store.save(change.action, status(self._store.new_id(Status), change, now))
        name = target.controller_id
        _log.warning(
            "target=%s action=%d state=%s: it never showed its version", name, key, State.ERROR
        )
