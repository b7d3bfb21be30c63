from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flipside_bootctl import grubenv
from flipside_bootctl.errors import DamagedState

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,15}", fullmatch=True)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_what_is_encoded_is_decoded(variables: dict[str, str]) -> None:
    assert grubenv.decode(grubenv.encode(variables)) == variables


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_all_meaning_lies_in_the_first_sector(variables: dict[str, str]) -> None:
    block = grubenv.encode(variables)
    assert len(block) == 1024
    assert block[512:] == b"#" * 512


@given(st.binary(max_size=1100))
def test_rubbish_is_damage_never_a_traceback(rubbish: bytes) -> None:
    with pytest.raises(DamagedState):
        grubenv.decode(rubbish)


@given(st.binary(min_size=999, max_size=999))
def test_rubbish_behind_the_signature_is_read_without_a_traceback(rubbish: bytes) -> None:
    grubenv.decode(grubenv.SIGNATURE + rubbish)


def test_more_than_a_sector_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at most 512"):
        grubenv.encode({"name": "x" * 500})


@pytest.mark.skipif(
    not shutil.which("grub-editenv"), reason="grub-editenv (grub-common) is missing"
)
def test_grub_editenv_reads_and_writes_the_same_block(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_bytes(grubenv.encode({"primary": "A", "odd": "a\\b"}))
    listed = subprocess.run(
        ["grub-editenv", str(file), "list"], check=True, capture_output=True, text=True
    )
    assert listed.stdout == "primary=A\nodd=a\\b\n"
    subprocess.run(["grub-editenv", str(file), "set", "A_left=3"], check=True)
    assert grubenv.decode(file.read_bytes()) == {"primary": "A", "odd": "a\\b", "A_left": "3"}
