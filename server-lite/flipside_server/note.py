"""A note: what the audit log is to say, kept with the change it tells of until it is said there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Note:
    """Who did what, and when."""

    id: int
    at: int
    """Milliseconds since 1970."""
    who: str
    what: str
    """An order's name, or ``action`` for what became of one."""
    details: Mapping[str, Any] = field(default_factory=dict)
