"""U-Boot's environment as it lies in its place: one copy, or two that take turns.

Format: U-Boot, include/env_internal.h and env/common.c; for the tools, tools/env/fw_env.c.
A copy is a CRC-32 over the data, with two copies a flag byte, and the data: ``name=value`` entries
that end with a NUL, another NUL behind the last one, and padding.
The checksum covers the data with its padding and not the flag, and is stored in the byte order of
the machine that runs U-Boot.
"""

from __future__ import annotations

import zlib
from enum import Enum
from typing import TYPE_CHECKING, Literal, NamedTuple

from flipside_bootctl.errors import DamagedState, StateNotStored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CHECKSUM = 4
ACTIVE, OBSOLETE, ERASED = 1, 0, 0xFF


class Turns(Enum):
    """How the flag byte tells which of two copies is the current one."""

    INCREMENTAL = "incremental"
    """A serial number that wraps at 255: files, block devices, NAND, UBI."""
    BOOLEAN = "boolean"
    """1 for the current copy and 0 for the other, which a NOR flash can write without erasing."""


class Copy(NamedTuple):
    """What one copy says, and how it says it."""

    variables: Mapping[str, str]
    """Bytes that are no UTF-8 come as surrogates (PEP 383), so that nothing of them is lost."""
    flag: int | None = None
    """None where there is only one copy."""
    order: Literal["little", "big"] = "little"
    pad: int = 0
    """The byte behind the entries."""


def decode(block: bytes, *, redundant: bool) -> Copy:
    """What a copy says; raises DamagedState where U-Boot would not use it."""
    header = _CHECKSUM + redundant
    if len(block) < header + 2:
        raise DamagedState(f"environment of {len(block)} bytes, expected {header + 2} at least")
    data = block[header:]
    order = _order(block[:_CHECKSUM], zlib.crc32(data))
    variables = dict(_entries(data))
    return Copy(variables, block[_CHECKSUM] if redundant else None, order, _pad(data))


def encode(copy: Copy, size: int) -> bytes:
    """The copy in so many bytes; raises StateNotStored where they are too few."""
    entries = b"".join(_entry(name, value) for name, value in copy.variables.items())
    flag = b"" if copy.flag is None else bytes([copy.flag])
    room, text = size - _CHECKSUM - len(flag), (entries or b"\0") + b"\0"
    if len(text) > room:
        raise StateNotStored(f"environment of {len(text)} bytes, expected at most {room}")
    data = text.ljust(room, bytes([copy.pad]))
    return zlib.crc32(data).to_bytes(_CHECKSUM, copy.order) + flag + data


def current(first: int, second: int, turns: Turns) -> int:
    """Which of two good copies with these flags counts: 0 or 1."""
    if turns is Turns.BOOLEAN:
        return 1 if (first, second) in ((OBSOLETE, ACTIVE), (OBSOLETE, ERASED)) else 0
    if {first, second} == {0, 255}:
        return 1 if second == 0 else 0
    return 1 if second > first else 0


def following(flag: int, turns: Turns) -> int:
    """The flag of the copy that is written next."""
    return ACTIVE if turns is Turns.BOOLEAN else (flag + 1) % 256


def _order(stored: bytes, checksum: int) -> Literal["little", "big"]:
    if stored == checksum.to_bytes(_CHECKSUM, "little"):
        return "little"
    if stored == checksum.to_bytes(_CHECKSUM, "big"):
        return "big"
    raise DamagedState(f"environment with checksum {stored.hex()}, expected {checksum:08x}")


def _entries(data: bytes) -> Iterator[tuple[str, str]]:
    """Entries up to the empty one; without a name or a ``=`` they say nothing, the last counts."""
    for entry in data.split(b"\0"):
        if not entry:
            return
        name, equals, value = entry.partition(b"=")
        if name and equals:
            yield _text(name), _text(value)


def _pad(data: bytes) -> int:
    end = 0 if data.startswith(b"\0") else data.find(b"\0\0") + 1
    return data[-1] if 0 < end < len(data) - 1 or data.startswith(b"\0") else 0


def _entry(name: str, value: str) -> bytes:
    if not name or "=" in name or "\0" in name + value:
        raise StateNotStored(
            f"variable {name!r} cannot be stored: a name without = and NUL is expected"
        )
    return f"{name}={value}\0".encode(errors="surrogateescape")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="surrogateescape")
