"""What is remembered of each target in memory only, so that a poll neither writes nor searches."""

from __future__ import annotations


class Contacts:
    """When each target was last heard of since the server started, and what need not be read."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._closed: dict[int, int] = {}

    def note(self, controller_id: str, now: int) -> None:
        """This target was heard of now (milliseconds since 1970)."""
        self._seen[controller_id] = now

    def last(self, controller_id: str) -> int | None:
        """When the target was last heard of; None if not since the server started."""
        return self._seen.get(controller_id)

    def note_closed(self, target: int, actions: int) -> None:
        """The target's first so many actions are closed, and closed actions stay so."""
        self._closed[target] = actions

    def closed(self, target: int) -> int:
        """How many of the target's actions are known to be closed."""
        return self._closed.get(target, 0)
