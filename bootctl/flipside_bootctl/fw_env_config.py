"""``/etc/fw_env.config``: where U-Boot's environment lies.

Format: U-Boot, tools/env/fw_env.config. A line names a device or file, an offset and a size; on
flash also the size of a sector and how many there are; two lines mean two copies. Numbers are in
C's notation; a negative offset counts from the end of the device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flipside_bootctl.errors import NoScheme

if TYPE_CHECKING:
    from collections.abc import Sequence

_FIELDS = "a device, an offset and a size, and on flash the size of a sector and their number"
_LARGEST = 1 << 24
_FARTHEST = 1 << 60


class Area(NamedTuple):
    """The place of one copy."""

    path: str
    offset: int
    """Bytes from the beginning of the device, or, if negative, from its end."""
    size: int
    """Bytes."""
    sector: int
    """Bytes of an erase block; the size of the environment where the file names none."""
    sectors: int
    """Erase blocks that belong to the copy; bad ones among them are left out."""


def parse(text: str, name: str) -> tuple[Area, ...]:
    """The one or two areas that a file of this name describes; raises NoScheme."""
    areas = [
        _area(line.split(), f"{name}, line {number}")
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if len(areas) not in (1, 2):
        raise NoScheme(f"{name} names {len(areas)} places of an environment, expected 1 or 2")
    if len({area.size for area in areas}) > 1:
        raise NoScheme(f"{name}: the two copies differ in size, expected the same")
    return tuple(areas)


def _area(fields: Sequence[str], where: str) -> Area:
    if not 3 <= len(fields) <= 6:
        raise NoScheme(f"{where} has {len(fields)} fields, expected {_FIELDS}")
    path, *words = fields
    numbers = [_number(word, where) for word in words[:4]]
    offset, size = numbers[:2]
    sector = numbers[2] if len(numbers) > 2 and numbers[2] else size
    sectors = numbers[3] if len(numbers) > 3 and numbers[3] else -(-size // max(sector, 1))
    if not 16 <= size <= _LARGEST or sector < 1 or sectors < 1:
        raise NoScheme(f"{where}: size {size}, sector {sector}, {sectors} sectors: no such place")
    if abs(offset) > _FARTHEST:
        raise NoScheme(f"{where}: offset {offset}: no such place")
    return Area(path, offset, size, sector, sectors)


def _number(word: str, where: str) -> int:
    """A number as C writes it: 16, 0x10 or 020."""
    digits = word.lstrip("+-").lower()
    base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10
    try:
        value = int(digits, base)
    except ValueError:
        raise NoScheme(f"{where}: {word!r} is no number, expected one as in C") from None
    return -value if word.startswith("-") else value
