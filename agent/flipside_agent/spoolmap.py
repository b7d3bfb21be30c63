"""The map of a spool: which bytes of which bundle are in it, as a file that a cut cannot spoil.

A header names the bundle; each record after it names a range that was flushed before the record
was written. Records are only ever appended: a torn one is the last, is recognised, and costs no
more than the bytes it spoke of.
"""

from __future__ import annotations

import struct
import zlib

from flipside_agent.ranges import Range, Ranges, add

_MAGIC = b"flipside spool 1"
_HEADER = struct.Struct(">16s32sQ")
_RECORD = struct.Struct(">QQ")
_CHECK = struct.Struct(">I")

HEADER_BYTES = _HEADER.size + _CHECK.size
RECORD_BYTES = _RECORD.size + _CHECK.size


def header(key: str, size: int) -> bytes:
    """Return the header for the bundle with this SHA-256 key (64 hex digits) and size."""
    return _sealed(_HEADER.pack(_MAGIC, bytes.fromhex(key), size))


def record(held: Range) -> bytes:
    """Return the record of a range that is flushed."""
    return _sealed(_RECORD.pack(held.start, held.stop))


def held_in(raw: bytes, key: str, size: int) -> tuple[Ranges, int]:
    """Return what a map says is held of this bundle, and how many of its bytes are sound.

    A map of another bundle, or none, holds nothing and has no sound byte.
    """
    if raw[:HEADER_BYTES] != header(key, size):
        return (), 0
    held: Ranges = ()
    at = HEADER_BYTES
    while len(one := raw[at : at + RECORD_BYTES]) == RECORD_BYTES:
        start, stop = _RECORD.unpack_from(one)
        if one != record(Range(start, stop)) or not start < stop <= size:
            break
        held = add(held, Range(start, stop))
        at += RECORD_BYTES
    return held, at


def _sealed(payload: bytes) -> bytes:
    return payload + _CHECK.pack(zlib.crc32(payload))
