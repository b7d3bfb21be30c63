"""When each target was last heard of: in memory only, so that a poll writes nothing to disk."""

from __future__ import annotations


class Contacts:
    """Last contact of each target since the server started."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def note(self, controller_id: str, now: int) -> None:
        """This target was heard of now (milliseconds since 1970)."""
        self._seen[controller_id] = now

    def last(self, controller_id: str) -> int | None:
        """When the target was last heard of; None if not since the server started."""
        return self._seen.get(controller_id)
