"""Records to JSON documents and back, driven by the records' own type hints.

A member that the document lacks gets the field's default, one that the record does not know is
left out: so a newer server reads what an older one kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

R = TypeVar("R")
Reader = Callable[[Any], Any]


def encode(record: Any) -> dict[str, Any]:
    """The record as a document that json can write."""
    kind: Any = type(record)
    return {name: _plain(getattr(record, name)) for name in _names(kind)}


def decode(kind: type[R], document: dict[str, Any]) -> R:
    """The record of that kind in a document."""
    cached: Any = kind  # mypy takes no type[R] for hashable
    readers = _readers(cached)
    return kind(
        **{name: readers[name](value) for name, value in document.items() if name in readers}
    )


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return encode(value) if is_dataclass(value) else value


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind))


@cache
def _readers(kind: type) -> dict[str, Reader]:
    hints = get_type_hints(kind)
    return {name: _reader(hints[name]) for name in _names(kind)}


@lru_cache(maxsize=1024)
def _shared(text: str) -> str:
    """The same text as the one met before: a fleet has few names of attributes and versions."""
    return text


def _texts(texts: dict[str, Any]) -> dict[str, Any]:
    return {_shared(key): _shared(value) for key, value in texts.items()}


def _reader(hint: Any) -> Reader:
    if hint == Mapping[str, str]:
        return _texts
    if get_origin(hint) is tuple:
        inner = _reader(get_args(hint)[0])
        return lambda values: tuple(inner(one) for one in values)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint
    if isinstance(hint, type) and is_dataclass(hint):
        return lambda value: decode(hint, value)
    return lambda value: value
