"""What the server needs of its storage: records by id, a few indexes, durable writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from flipside_server.action import Action, Status
from flipside_server.software import DistributionSet, SoftwareModule
from flipside_server.target import Target

Record = Target | SoftwareModule | DistributionSet | Action | Status
R = TypeVar("R", Target, SoftwareModule, DistributionSet, Action, Status)

INDEXED: dict[type, tuple[str, ...]] = {
    Target: ("controller_id",),
    Action: ("target",),
    Status: ("action",),
}
"""Fields by which records are found. They never change once a record is saved."""


class Store(Protocol):
    """Keeps records. Only ``all`` waits while another thread writes.

    To change something, load, decide and save within ``exclusive()``.
    """

    def get(self, kind: type[R], key: int) -> R | None: ...

    def find(self, kind: type[R], field: str, value: object) -> list[R]:
        """The records with that value in an indexed field, oldest first."""

    def count(self, kind: type[R], field: str, value: object) -> int: ...

    def all(self, kind: type[R]) -> Iterator[R]: ...

    def new_id(self, kind: type[R]) -> int:
        """An id that no record of the kind ever had or will have."""

    def save(self, *records: Record) -> None:
        """Keep all of them or, raising StorageError, none; on return they survive a power cut."""

    def exclusive(self) -> AbstractContextManager[object]:
        """Keep others from changing anything meanwhile."""
