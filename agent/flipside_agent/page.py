"""One page of the journal: a payload with a serial number and a checksum.

========  ====  =========================================================
offset    size  little endian
========  ====  =========================================================
0         8     magic, ``FLIPSIDE``
8         4     CRC-32 of everything behind it, padding included
12        2     format of the payload
14        2     zero
16        8     serial number; the page with the larger one is the newer
24        4     length of the payload
28        ...   payload, then zeros up to 4096
========  ====  =========================================================

This layout is for ever: an agent of any age must find the payload of an agent of any other.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Final

SIZE: Final = 4096
_MAGIC: Final = b"FLIPSIDE"
_HEADER: Final = struct.Struct("<8sIHxxQI")
_SUMMED: Final = 12
"""Offset from which on everything is under the checksum."""
ROOM: Final = SIZE - _HEADER.size
"""Bytes that a payload may have."""

assert _HEADER.size == 28


@dataclass(frozen=True, slots=True)
class Page:
    """What one page says."""

    serial: int
    format: int
    payload: bytes


def seal(page: Page) -> bytes:
    """The bytes of a page."""
    if len(page.payload) > ROOM:
        raise ValueError(f"a payload of {len(page.payload)} bytes, expected at most {ROOM}")
    raw = bytearray(SIZE)
    _HEADER.pack_into(raw, 0, _MAGIC, 0, page.format, page.serial, len(page.payload))
    raw[_HEADER.size : _HEADER.size + len(page.payload)] = page.payload
    struct.pack_into("<I", raw, 8, zlib.crc32(raw[_SUMMED:]))
    return bytes(raw)


def unseal(raw: bytes) -> Page | None:
    """What these bytes say; None if they are not a whole page: torn, never written, not ours."""
    if len(raw) != SIZE:
        return None
    magic, checksum, version, serial, length = _HEADER.unpack_from(raw)
    if magic != _MAGIC or checksum != zlib.crc32(raw[_SUMMED:]) or length > ROOM:
        return None
    return Page(serial, version, raw[_HEADER.size : _HEADER.size + length])
