from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flipside_bootctl import efi_load_option
from flipside_bootctl.efi_load_option import END, LoadOption, Node
from flipside_bootctl.errors import DamagedState

NODES = st.builds(Node, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=40))
LABELS = st.text(st.characters(exclude_characters="\0"), max_size=20)
OPTIONS = st.builds(
    LoadOption,
    st.integers(0, 2**32 - 1),
    LABELS,
    st.lists(NODES, max_size=5).map(tuple),
    st.binary(max_size=30),
)
OPTION = LoadOption(
    1,
    "Flipside A",
    (
        efi_load_option.partition(1, 2048, 131072, bytes(range(16))),
        efi_load_option.file("\\EFI\\flipside\\a.efi"),
        END,
    ),
    b"quiet",
)


@given(OPTIONS)
def test_what_is_encoded_is_decoded(option: LoadOption) -> None:
    assert efi_load_option.decode(efi_load_option.encode(option)) == option


@given(st.binary(max_size=120))
def test_rubbish_is_refused_or_comes_back_the_same(rubbish: bytes) -> None:
    try:
        option = efi_load_option.decode(rubbish)
    except DamagedState as error:
        assert "\n" not in str(error)  # noqa: PT017  # either is fine, a traceback is not
    else:
        assert efi_load_option.encode(option) == rubbish


@pytest.mark.parametrize("length", range(len(efi_load_option.encode(OPTION)) - len(b"quiet")))
def test_every_shortened_entry_is_noticed(length: int) -> None:
    with pytest.raises(DamagedState, match=r"expected|are left"):
        efi_load_option.decode(efi_load_option.encode(OPTION)[:length])


def test_the_bytes_of_an_entry() -> None:
    """As the specification lays them out, counted by hand."""
    block = efi_load_option.encode(OPTION)
    assert block[:6] == bytes((1, 0, 0, 0, 42 + 44 + 4, 0))
    assert block[6:28] == "Flipside A\0".encode("utf-16-le")
    assert block[28:32] == bytes((4, 1, 42, 0))
    assert block[32:36] == b"\1\0\0\0"
    assert block[68:70] == bytes((2, 2))
    assert block[70:74] == bytes((4, 4, 44, 0))
    assert block[-9:] == bytes((0x7F, 0xFF, 4, 0)) + b"quiet"
