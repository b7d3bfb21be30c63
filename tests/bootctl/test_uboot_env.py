from __future__ import annotations

import zlib
from itertools import product
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flipside_bootctl import uboot_env
from flipside_bootctl.errors import DamagedState, StateNotStored
from flipside_bootctl.uboot_env import Copy, Turns

SIZE = 512
NAMES = st.text(st.characters(exclude_characters="\0=", codec="utf-8"), min_size=1, max_size=12)
VALUES = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20)
VARIABLES = st.dictionaries(NAMES, VALUES, max_size=6)
FLAGS = st.none() | st.integers(0, 255)
ORDERS: list[Literal["little", "big"]] = ["little", "big"]


@given(VARIABLES, FLAGS, st.sampled_from(ORDERS), st.integers(0, 255))
def test_what_is_encoded_is_decoded(
    variables: dict[str, str], flag: int | None, order: Literal["little", "big"], pad: int
) -> None:
    copy = Copy(variables, flag, order, pad)
    block = uboot_env.encode(copy, SIZE)
    assert len(block) == SIZE
    found = uboot_env.decode(block, redundant=flag is not None)
    assert (found.variables, found.flag, found.pad) == (variables, flag, pad)
    assert uboot_env.encode(found, SIZE) == block


@given(st.binary(max_size=SIZE), st.booleans())
def test_rubbish_is_damage_never_a_traceback(rubbish: bytes, redundant: bool) -> None:
    with pytest.raises(DamagedState):
        uboot_env.decode(rubbish, redundant=redundant)


@given(st.binary(min_size=2, max_size=SIZE))
def test_rubbish_with_a_good_checksum_is_read(data: bytes) -> None:
    block = zlib.crc32(data).to_bytes(4, "little") + data
    found = uboot_env.decode(block, redundant=False)
    again = uboot_env.encode(found, len(block) + 8)  # what is not ended there has to be here
    assert uboot_env.decode(again, redundant=False).variables == found.variables


@given(VARIABLES, st.integers(0, SIZE * 8 - 1))
def test_every_flipped_bit_is_noticed_but_in_the_flag(variables: dict[str, str], bit: int) -> None:
    block = bytearray(uboot_env.encode(Copy(variables, 7), SIZE))
    block[bit // 8] ^= 1 << bit % 8
    if bit // 8 == 4:
        assert uboot_env.decode(bytes(block), redundant=True).variables == variables
    else:
        with pytest.raises(DamagedState):
            uboot_env.decode(bytes(block), redundant=True)


def test_the_last_of_a_name_counts_and_words_without_a_value_say_nothing() -> None:
    data = b"a=1\0word\0a=2\0\0c=3\0"
    block = zlib.crc32(data).to_bytes(4, "big") + data
    assert uboot_env.decode(block, redundant=False).variables == {"a": "2"}


@pytest.mark.parametrize("variables", [{"": "x"}, {"a=b": "x"}, {"a\0": "x"}, {"a": "x\0y"}])
def test_variables_that_would_be_others_when_read_again(variables: dict[str, str]) -> None:
    with pytest.raises(StateNotStored, match="cannot be stored"):
        uboot_env.encode(Copy(variables), SIZE)


def test_more_than_there_is_room_for() -> None:
    fits = {"a": "x" * (SIZE - 4 - len("a=\0\0"))}
    assert uboot_env.decode(uboot_env.encode(Copy(fits), SIZE), redundant=False).variables == fits
    with pytest.raises(StateNotStored, match="environment of 508 bytes, expected at most 507"):
        uboot_env.encode(Copy(fits, 0), SIZE)


def test_the_copy_that_was_written_last_counts_wherever_the_serial_stands() -> None:
    for flag in range(256):
        after = uboot_env.following(flag, Turns.INCREMENTAL)
        assert uboot_env.current(flag, after, Turns.INCREMENTAL) == 1
        assert uboot_env.current(after, flag, Turns.INCREMENTAL) == 0
        assert uboot_env.current(flag, flag, Turns.INCREMENTAL) == 0


def test_of_two_boolean_flags_the_loaders_choice_is_ours() -> None:
    # env/flash.c: the active one; of two alike the first; else one that was never marked.
    chosen = {
        (first, second): uboot_env.current(first, second, Turns.BOOLEAN)
        for first, second in product((0, 1, 255), repeat=2)
    }
    assert [pair for pair, copy in chosen.items() if copy == 1] == [(0, 1), (0, 255)]
