"""One page of the journal."""

from __future__ import annotations

import pytest

from flipside_agent.page import ROOM, SIZE, Page, seal, unseal

PAGE = Page(serial=3, format=1, payload=b'{"state":"idle"}')


def test_the_layout_is_for_ever() -> None:
    raw = seal(PAGE)
    assert len(raw) == SIZE == 4096
    assert raw[:8] == b"FLIPSIDE"
    assert raw[12:28] == bytes.fromhex("0100 0000 0300000000000000 10000000")
    assert raw[28:44] == PAGE.payload
    assert set(raw[44:]) == {0}


def test_what_was_sealed_is_read() -> None:
    assert unseal(seal(PAGE)) == PAGE
    full = Page(2**64 - 1, 65535, b"x" * ROOM)
    assert unseal(seal(full)) == full


def test_too_much_is_our_bug() -> None:
    with pytest.raises(ValueError, match="4069 bytes, expected at most 4068"):
        seal(Page(1, 1, b"x" * (ROOM + 1)))


@pytest.mark.parametrize("raw", [b"", bytes(SIZE), b"\xff" * SIZE, seal(PAGE)[:-1]])
def test_what_is_no_page_is_none(raw: bytes) -> None:
    assert unseal(raw) is None


def test_a_page_with_any_bit_turned_is_none() -> None:
    raw = seal(PAGE)
    for at in range(SIZE):
        torn = bytearray(raw)
        torn[at] ^= 1 << at % 8
        assert unseal(bytes(torn)) is None, at


def test_a_length_beyond_the_page_is_none() -> None:
    import struct
    import zlib

    raw = bytearray(seal(PAGE))
    struct.pack_into("<I", raw, 24, ROOM + 1)
    struct.pack_into("<I", raw, 8, zlib.crc32(raw[12:]))
    assert unseal(bytes(raw)) is None
