"""Who changes things at the moment, if it is not the device that they are about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ACTOR: ContextVar[str] = ContextVar("actor", default="")


@contextmanager
def acting(who: str) -> Iterator[None]:
    """Whatever is changed meanwhile, this one does it: an operator, or ``server`` itself."""
    token = _ACTOR.set(who)
    try:
        yield
    finally:
        _ACTOR.reset(token)


def actor() -> str:
    """Who it is; empty if nobody was named."""
    return _ACTOR.get()
