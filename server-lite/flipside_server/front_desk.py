"""The desk that answers at once: it may read records and wait for nothing.

Most requests are polls of devices that have nothing to do. Handing each to a thread and back costs
as much processor time as answering it, so the listener asks an application at this desk first.
What needs the disk, or a lock that somebody may hold who waits for the disk, is begun anew
elsewhere: up to there a view has only looked, or noted what it will note again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from flipside_server.visit import Desk


class NotHere(BaseException):
    """The request has to be answered in a thread that may wait.

    No ``Exception``: it passes by whatever an application does about its own errors.
    """


@dataclass(frozen=True, slots=True)
class _Reading:
    """A store of which only what takes no time may be asked."""

    get: Callable[..., Any]
    find: Callable[..., Any]
    count: Callable[..., Any]

    def __getattr__(self, name: str) -> NoReturn:
        raise NotHere


@dataclass(frozen=True, slots=True)
class _Closed:
    """Something of which nothing may be asked."""

    def __getattr__(self, name: str) -> NoReturn:
        raise NotHere


def front_desk(desk: Desk) -> Desk:
    """The same desk, with everything out of reach that may take time."""
    store: Any = _Reading(desk.store.get, desk.store.find, desk.store.count)
    artifacts: Any = _Closed()
    return replace(desk, store=store, artifacts=artifacts)
