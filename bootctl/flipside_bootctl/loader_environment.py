"""Boot state as variables of the boot loader's own environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from flipside_bootctl import state
from flipside_bootctl.errors import DamagedState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flipside_bootctl.state import BootState, Capabilities


class Storage(Protocol):
    """Where the variables lie."""

    def read(self) -> Mapping[str, str]: ...
    def write(self, changes: Mapping[str, str]) -> None: ...
    def damage(self) -> str: ...


class Dialect(Protocol):
    """Which variables say the boot state, and how."""

    @property
    def CAPABILITIES(self) -> Capabilities: ...  # noqa: N802  # a module is a dialect too
    def from_variables(self, variables: Mapping[str, str], /) -> BootState: ...
    def to_variables(self, state: BootState, /) -> dict[str, str]: ...
    def at_first(self) -> BootState: ...


class LoaderEnvironment:
    """Boot control through variables; each change is one write of all of them."""

    def __init__(self, storage: Storage, dialect: Dialect) -> None:
        """Take where the variables lie and what they mean."""
        self._storage = storage
        self._dialect = dialect

    @property
    def capabilities(self) -> Capabilities:
        """What the loader that reads these variables can do."""
        return self._dialect.CAPABILITIES

    def read(self) -> BootState:
        """The stored state; raises DamagedState if it cannot be read."""
        return self._dialect.from_variables(self._storage.read())

    def read_or_rebuild(self) -> BootState:
        """The stored state, or, where that is damaged, the one that the loader begins with."""
        try:
            return self.read()
        except DamagedState:
            return self._dialect.at_first()

    def damage(self) -> str:
        """What of the stored state cannot be read, in one sentence; empty if all can."""
        complaint = self._storage.damage()
        try:
            self.read()
        except DamagedState as error:
            complaint = complaint or str(error)
        return complaint

    def select(self, name: str) -> None:
        """Make a slot the next one to boot."""
        self._store(state.select(self.read_or_rebuild(), name, self.capabilities))

    def mark_good(self, name: str) -> None:
        """Confirm a slot; after damage it also goes first."""
        try:
            before = self.read()
        except DamagedState:
            before = self._dialect.at_first()._replace(primary=name)
        self._store(state.mark_good(before, name, self.capabilities))

    def mark_bad(self, name: str) -> None:
        """Never boot a slot again until it is selected anew."""
        self._store(state.mark_bad(self.read_or_rebuild(), name))

    def _store(self, new: BootState) -> None:
        self._storage.write(self._dialect.to_variables(new))
