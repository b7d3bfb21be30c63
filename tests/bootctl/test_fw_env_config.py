from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flipside_bootctl import fw_env_config
from flipside_bootctl.errors import NoScheme
from flipside_bootctl.fw_env_config import Area

NAME = "/etc/fw_env.config"


def test_a_file_with_comments_and_two_copies() -> None:
    text = """# Redundant
    /dev/mmcblk0  0x3f8000   0x4000
\t/dev/mmcblk0  -0x4000  16384
"""
    assert fw_env_config.parse(text, NAME) == (
        Area("/dev/mmcblk0", 0x3F8000, 0x4000, 0x4000, 1),
        Area("/dev/mmcblk0", -0x4000, 0x4000, 0x4000, 1),
    )


@pytest.mark.parametrize(
    ("line", "area"),
    [
        ("/boot/uboot.env 0 0x4000", Area("/boot/uboot.env", 0, 0x4000, 0x4000, 1)),
        ("/dev/mtd1 0 0x4000 0x1000", Area("/dev/mtd1", 0, 0x4000, 0x1000, 4)),
        ("/dev/mtd1 010 0x4000 0x1000 8 1", Area("/dev/mtd1", 8, 0x4000, 0x1000, 8)),
    ],
)
def test_lines(line: str, area: Area) -> None:
    assert fw_env_config.parse(line, NAME) == (area,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names 0 places"),
        ("/a 0 64\n" * 3, "names 3 places"),
        ("/a 0 64\n/b 0 128", "differ in size"),
        ("/a 0", "line 1 has 2 fields"),
        ("# none\n/a 0 64 0 0 0 0", "line 2 has 7 fields"),
        ("/a zero 64", "'zero' is no number"),
        ("/a 0 0x", "'0x' is no number"),
        ("/a 0 -64", "no such place"),
        ("/a 0 0", "no such place"),
        ("/a 0 0x10000000000", "no such place"),
        (f"/a {1 << 70:#x} 64", "offset .*: no such place"),
        (f"/a -{1 << 70} 64", "offset .*: no such place"),
        ("uboot:\n  size: 64\n", "line 1 has 1 fields"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(text: str, words: str) -> None:
    with pytest.raises(NoScheme, match=words):
        fw_env_config.parse(text, NAME)


AREAS = st.builds(
    Area,
    st.from_regex(r"/[a-z/:0-9]{1,20}", fullmatch=True),
    st.integers(-(2**40), 2**40),
    st.integers(16, 2**24),
    st.integers(1, 2**40),
    st.integers(1, 100),
)


@given(AREAS, st.sampled_from(["d", "#x", "#o"]))
def test_what_is_written_down_is_understood(area: Area, base: str) -> None:
    words = (format(number, base).replace("0o", "0") for number in area[1:])
    assert fw_env_config.parse(" ".join((area.path, *words)), NAME) == (area,)


@given(st.text(max_size=200))
def test_any_text_is_refused_or_read(text: str) -> None:
    try:
        areas = fw_env_config.parse(text, NAME)
    except NoScheme as error:
        assert "\n" not in str(error)  # noqa: PT017  # either is fine, a traceback is not
    else:
        assert len(areas) in (1, 2)
