"""The few pieces of ASN.1 DER (ITU-T X.690) that a bundle and a sealed key need.

Only definite lengths and one-byte tags: DER allows no other length, and neither CMS nor PKCS#8
uses a longer tag.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from flipside_release.errors import BundleError

INTEGER: Final = 0x02
OCTET_STRING: Final = 0x04
OBJECT_IDENTIFIER: Final = 0x06
SEQUENCE: Final = 0x30
SET: Final = 0x31
EXPLICIT_0: Final = 0xA0


class Element(NamedTuple):
    """One element of a DER encoding and whatever follows it."""

    content: bytes
    rest: bytes


def encode(tag: int, *contents: bytes) -> bytes:
    """Encode one element whose content is the contents put together."""
    content = b"".join(contents)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def encode_integer(value: int) -> bytes:
    """Encode a non-negative integer; the spare bit keeps it from being read as negative."""
    return encode(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def read(data: bytes, tag: int) -> Element:
    """Read the element that `data` begins with; it must be of the given tag."""
    if len(data) < 2 or data[0] != tag:
        found = f"0x{data[0]:02x}" if data else "nothing"
        raise BundleError(f"The signature cannot be read: expected tag 0x{tag:02x}, found {found}.")
    start, length = _length(data)
    if start + length > len(data):
        raise BundleError(
            f"The signature is cut short: an element of {length} bytes was announced, "
            f"{len(data) - start} are left."
        )
    return Element(data[start : start + length], data[start + length :])


def _length(data: bytes) -> tuple[int, int]:
    """Where the content starts, and how long it says to be."""
    first = data[1]
    if first < 0x80:
        return 2, first
    count = first & 0x7F
    if not 1 <= count <= 8:
        raise BundleError(
            f"The signature cannot be read: expected a DER length, found byte 0x{first:02x}."
        )
    return 2 + count, int.from_bytes(data[2 : 2 + count], "big")
