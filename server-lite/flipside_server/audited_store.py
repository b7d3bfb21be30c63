"""A store that notes who changes what, in the same write as the change itself.

So the audit log costs no flush of its own, and knows of every change that a device or an operator
was told of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from flipside_server.action import Action
from flipside_server.actor import actor
from flipside_server.errors import OperatorError
from flipside_server.note import Note
from flipside_server.software import SoftwareModule
from flipside_server.store import R, Record
from flipside_server.target import Target
from flipside_server.tiny_store import TinyStore

Clock = Callable[[], int]
"""Milliseconds since 1970."""


@dataclass
class _Order:
    what: str
    details: Mapping[str, Any]
    noted: bool = False


_ORDER: ContextVar[_Order | None] = ContextVar("order", default=None)


class AuditedStore:
    """A store, and a note beside each change that the audit log is to tell of."""

    def __init__(self, store: TinyStore, clock: Clock, wake: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._wake = wake

    @property
    def sound(self) -> bool:
        """Whether the disk has kept its word; if not, every save is refused."""
        return self._store.sound

    def get(self, kind: type[R], key: int) -> R | None:
        """The record with this id."""
        return self._store.get(kind, key)

    def find(self, kind: type[R], field: str, value: object) -> list[R]:
        """The records with that value in an indexed field, oldest first."""
        return self._store.find(kind, field, value)

    def count(self, kind: type[R], field: str, value: object) -> int:
        """How many ``find`` would find."""
        return self._store.count(kind, field, value)

    def all(self, kind: type[R]) -> Iterator[R]:
        """Every record of the kind, oldest first."""
        return self._store.all(kind)

    def new_id(self, kind: type[R]) -> int:
        """An id that no record of the kind ever had or will have."""
        return self._store.new_id(kind)

    def save(self, *records: Record, without: Iterable[Record] = ()) -> None:
        """Keep and drop all of them or, raising StorageError, none; with what is to be noted."""
        with self._store.exclusive():
            notes = self._notes(records)
            self._store.save(*records, *notes, without=without)
            order = _ORDER.get()
            if order is not None:
                order.noted = True
        if notes:
            self._wake()

    def exclusive(self) -> AbstractContextManager[object]:
        """Keep others from changing anything meanwhile."""
        return self._store.exclusive()

    @contextmanager
    def ordered(self, what: str, details: Mapping[str, Any]) -> Iterator[None]:
        """Note this order with the first change that it makes, or that it made none."""
        order = _Order(what, details)
        token = _ORDER.set(order)
        try:
            yield
        except OperatorError as error:
            self._note_outcome(order, f"refused: {error}")
            raise
        else:
            if not order.noted:
                self._note_outcome(order, "nothing to do")
        finally:
            _ORDER.reset(token)

    def _note_outcome(self, order: _Order, outcome: str) -> None:
        with self._store.exclusive():
            self._store.save(self._note(order.what, {**order.details, "outcome": outcome}))
        self._wake()

    def _notes(self, records: Iterable[Record]) -> list[Note]:
        order = _ORDER.get()
        fresh = order is not None and not order.noted
        first = (
            [self._note(order.what, {**order.details, **_content(records)})]
            if order and fresh
            else []
        )
        return [*first, *(note for one in records if (note := self._told(one)) is not None)]

    def _told(self, record: Record) -> Note | None:
        match record:
            case Action():
                return self._action(record)
            case Target() if _ORDER.get() is None and self._store.get(Target, record.id) is None:
                return self._note("registration", {"target": record.controller_id}, record)
            case _:
                return None

    def _action(self, action: Action) -> Note | None:
        before = self._store.get(Action, action.id)
        if before is not None and before.state is action.state:
            return None
        target = self._store.get(Target, action.target)
        details = {
            "action": action.id,
            "target": target.controller_id if target else "",
            "from": before.state if before else None,
            "to": action.state,
        }
        return self._note("action", details, target)

    def _note(self, what: str, details: Mapping[str, Any], device: Target | None = None) -> Note:
        who = actor() or (f"device {device.controller_id}" if device else "server")
        return Note(self._store.new_id(Note), self._clock(), who, what, details)


def _content(records: Iterable[Record]) -> dict[str, Any]:
    modules = (one for one in records if isinstance(one, SoftwareModule))
    sums = [artifact.sha256 for module in modules for artifact in module.artifacts]
    return {"sha256": sums} if sums else {}
