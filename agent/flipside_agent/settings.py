"""Settings from TOML tables: one laid over the other, each taken out by name and checked."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flipside_agent.errors import OperatorError

Tables = Mapping[str, Mapping[str, "Setting"]]


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and the file it came from, so that a complaint can name it."""

    value: object
    file: str


def layered(documents: Sequence[tuple[str, Mapping[str, object]]]) -> Tables:
    """Lay (file, document) pairs over each other, key by key; the last one wins."""
    tables: dict[str, dict[str, Setting]] = {}
    for file, document in documents:
        for name, table in document.items():
            if not isinstance(table, dict):
                raise OperatorError(f"{file}: {name} stands outside of any [section]")
            settings = {key: Setting(value, file) for key, value in table.items()}
            tables.setdefault(name, {}).update(settings)
    return tables


def resembling(word: str, known: Sequence[str]) -> str:
    """Return a hint at the known word nearest to a mistyped one, or nothing."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


class Section:
    """One table: every key that is asked for is known, the others are strangers."""

    def __init__(self, name: str, settings: Mapping[str, Setting], place: str) -> None:
        self._name = name
        self._settings = settings
        self._place = place
        self._known: list[str] = []

    def text(self, key: str, default: str, pattern: str, expected: str) -> str:
        """Return a text that matches the whole pattern."""
        value = self._take(key, default)
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise self.wrong(key, expected)
        return value

    def texts(self, key: str, pattern: str, expected: str) -> tuple[str, ...]:
        """Return a list of texts, each of which matches the whole pattern."""
        value = self._take(key, [])
        if not isinstance(value, list):
            raise self.wrong(key, f"a list of {expected}")
        if not all(isinstance(one, str) and re.fullmatch(pattern, one) for one in value):
            raise self.wrong(key, f"a list of {expected}")
        return tuple(value)

    def secret(self, key: str) -> str:
        """Return a token, or nothing; it is never shown."""
        value = self._take(key, "")
        if not isinstance(value, str) or not re.fullmatch(r"[!-~]{0,256}", value):
            raise OperatorError(
                f"{self.file(key)}: {self._name}.{key} is not a token,"
                " expected up to 256 printable characters without blanks"
            )
        return value

    def number(self, key: str, default: float, low: float, high: float, unit: str) -> float:
        """Return a number between two bounds."""
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(key, f"{unit} from {low:g} to {high:g}")
        if not low <= value <= high:
            raise self.wrong(key, f"{unit} from {low:g} to {high:g}")
        return value

    def count(self, key: str, default: int, low: int, high: int, unit: str) -> int:
        """Return a whole number between two bounds."""
        value = self.number(key, default, low, high, unit)
        if not isinstance(value, int):
            raise self.wrong(key, f"a whole number, {unit} from {low} to {high}")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def path(self, key: str, default: str) -> Path | None:
        """Return an absolute path, or None for an empty text."""
        value = self.text(key, default, r"(/[^\0]*)?", "an absolute path")
        return Path(value) if value else None

    def given(self, key: str) -> bool:
        """Tell whether a file sets this key."""
        return key in self._settings

    def file(self, key: str) -> str:
        """Return the file that sets a key, or the one that should."""
        setting = self._settings.get(key)
        return setting.file if setting else self._place

    def wrong(self, key: str, expected: str) -> OperatorError:
        """Return the complaint about a key's value."""
        value = repr(self._take(key, None))[:100] if self.given(key) else "missing"
        return OperatorError(
            f"{self.file(key)}: {self._name}.{key} is {value}, expected {expected}"
        )

    def strangers(self) -> list[tuple[str, str]]:
        """Return (file, complaint) for each key that nobody asked for."""
        return [
            (
                setting.file,
                f"{setting.file}: there is no setting {self._name}.{key}"
                + resembling(key, self._known),
            )
            for key, setting in self._settings.items()
            if key not in self._known
        ]

    def _take(self, key: str, default: object) -> object:
        if key not in self._known:
            self._known.append(key)
        setting = self._settings.get(key)
        return default if setting is None else setting.value
