"""What the server needs of its storage: records by id, a few indexes, durable writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from flipside_server.action import Action, Status
from flipside_server.note import Note
from flipside_server.software import DistributionSet, SoftwareModule
from flipside_server.target import Target

Record = Target | SoftwareModule | DistributionSet | Action | Status | Note
R = TypeVar("R", Target, SoftwareModule, DistributionSet, Action, Status, Note)

INDEXED: dict[type, tuple[str, ...]] = {
    Target: ("controller_id",),
    Action: ("target",),
    Status: ("action",),
}
"""Fields by which records are found. They never change once a record is saved."""


class Store(Protocol):
    """Keeps records. Only ``all`` waits while another thread writes.

    To change something, load, decide and save within ``exclusive()``.
    Others may see a record a moment before it is durable; who leaves ``exclusive()`` has waited
    for everything that was there to see.
    """

    def get(self, kind: type[R], key: int) -> R | None: ...

    def find(self, kind: type[R], field: str, value: object) -> list[R]:
        """The records with that value in an indexed field, oldest first."""

    def count(self, kind: type[R], field: str, value: object) -> int: ...

    def all(self, kind: type[R]) -> Iterator[R]: ...

    def new_id(self, kind: type[R]) -> int:
        """An id that no record of the kind ever had or will have."""

    def save(self, *records: Record, without: Iterable[Record] = ()) -> None:
        """Keep and drop all of them or, raising StorageError, none.

        On return they survive a power cut; within ``exclusive()``, on leaving that.
        """

    def exclusive(self) -> AbstractContextManager[object]:
        """Keep others from changing anything meanwhile; leave when all that was saved is durable.

        Threads that leave at the same time share one flush.
        """


def found_or_made(
    store: Store, kind: type[R], field: str, value: object, make: Callable[[int], R]
) -> R:
    """The oldest record with that value, or the one made with a new id: one, whoever else asks."""
    for record in store.find(kind, field, value):
        return record
    with store.exclusive():
        for record in store.find(kind, field, value):
            return record
        made = make(store.new_id(kind))
        store.save(made)
        return made
