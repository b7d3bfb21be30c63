"""DER, as far as it is needed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flipside_release import der
from flipside_release.errors import BundleError


@given(st.binary(max_size=300), st.binary(max_size=20))
def test_what_is_encoded_is_read(content: bytes, rest: bytes) -> None:
    assert der.read(der.encode(der.OCTET_STRING, content) + rest, der.OCTET_STRING) == (
        content,
        rest,
    )


@pytest.mark.parametrize(
    ("size", "head"), [(127, "047f"), (128, "048180"), (256, "04820100"), (65536, "0483010000")]
)
def test_lengths_are_the_shortest(size: int, head: str) -> None:
    assert der.encode(der.OCTET_STRING, bytes(size)).startswith(bytes.fromhex(head) + b"\0")


@pytest.mark.parametrize(
    ("value", "expected"), [(0, "020100"), (127, "02017f"), (128, "02020080"), (16384, "02024000")]
)
def test_integers_are_never_negative(value: int, expected: str) -> None:
    assert der.encode_integer(value).hex() == expected


@given(st.binary(max_size=40))
def test_garbage_is_told_and_nothing_else_happens(data: bytes) -> None:
    try:
        content, rest = der.read(data, der.SEQUENCE)
    except BundleError:
        return
    assert data[0] == der.SEQUENCE
    assert data.endswith(content + rest)


@pytest.mark.parametrize("data", ["", "30", "3005ab", "3080", "3089ffffffffffffffffff", "3081"])
def test_what_is_cut_short_or_not_der_is_refused(data: str) -> None:
    with pytest.raises(BundleError):
        der.read(bytes.fromhex(data), der.SEQUENCE)
