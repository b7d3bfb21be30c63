"""The order in which systemd-boot lists its entries; the first one is booted.

systemd 257, src/boot/boot.c: entries without attempts come last, those with a sort-key before those
without, then the identity decides, downwards. What ``default`` in loader.conf or an EFI variable
names goes before all of it, and does not look at the counters: the scheme has neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flipside_bootctl import boot_entry

if TYPE_CHECKING:
    from typing import Any, TypeVar

    Ordered = TypeVar("Ordered", bound=Any)

_DIGITS = frozenset("0123456789")
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_SIGNS = "-^."
"""From the oldest to the newest; ``~`` is older than the end."""


class Candidate(NamedTuple):
    """What of an entry counts for its place."""

    counter: boot_entry.Counter
    sort_key: str = ""
    machine_id: str = ""
    version: str = ""


def compare(one: Candidate, other: Candidate) -> int:
    """Negative if systemd-boot lists the first one before the other."""
    if order := _cmp(one.counter.left == 0, other.counter.left == 0):
        return order
    if order := _cmp(not one.sort_key, not other.sort_key):
        return order
    if one.sort_key:
        keys = (one.sort_key, one.machine_id), (other.sort_key, other.machine_id)
        if order := _cmp(*keys) or -compare_versions(one.version, other.version):
            return order
    if order := -compare_versions(one.counter.identity, other.counter.identity):
        return order
    return _compare_counters(one.counter, other.counter)


def compare_versions(one: str, other: str) -> int:
    """Which version is newer, as ``systemd-analyze compare-versions`` says it."""
    while True:
        one, other = _from_valid(one), _from_valid(other)
        if order := _cmp(one[:1] != "~", other[:1] != "~"):
            return order
        one, other = one.removeprefix("~"), other.removeprefix("~")
        if not one or not other:
            return _cmp(one, other)
        for sign in _SIGNS:
            if order := _cmp(one[:1] != sign, other[:1] != sign):
                return order
            one, other = one.removeprefix(sign), other.removeprefix(sign)
        digits = one[:1] in _DIGITS or other[:1] in _DIGITS
        run, rest = _run(one, _DIGITS if digits else _LETTERS)
        other_run, other_rest = _run(other, _DIGITS if digits else _LETTERS)
        if order := _compare_runs(run, other_run, digits=digits):
            return order
        one, other = rest, other_rest


def _compare_counters(one: boot_entry.Counter, other: boot_entry.Counter) -> int:
    if one.left is None or other.left is None:
        return 0
    return _cmp((-one.left, one.done), (-other.left, other.done))


def _compare_runs(one: str, other: str, *, digits: bool) -> int:
    if not digits:
        return _cmp(one, other)
    if order := _cmp(bool(one), bool(other)):
        return order
    number, other_number = one.lstrip("0"), other.lstrip("0")
    return _cmp((len(number), number), (len(other_number), other_number))


def _run(text: str, members: frozenset[str]) -> tuple[str, str]:
    end = next((at for at, char in enumerate(text) if char not in members), len(text))
    return text[:end], text[end:]


def _from_valid(text: str) -> str:
    """The rest from the first character on that counts at all."""
    for at, char in enumerate(text):
        if char in _DIGITS or char in _LETTERS or char in "~" + _SIGNS:
            return text[at:]
    return ""


def _cmp(one: Ordered, other: Ordered) -> int:
    return int(one > other) - int(one < other)
