"""Where the parts of a bundle lie, from its length alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flipside_release.errors import BundleError
from flipside_release.layout import LARGEST_CMS, Layout, cms_size, layout, trailer
from flipside_release.verity import BLOCK_SIZE, tree_size


@given(
    st.integers(min_value=2, max_value=2**40 // BLOCK_SIZE),
    st.integers(min_value=1, max_value=LARGEST_CMS),
)
def test_a_bundle_tells_its_own_layout(blocks: int, cms: int) -> None:
    parts = Layout(blocks * BLOCK_SIZE, tree_size(blocks), cms)
    assert cms_size(parts.total, trailer(cms)) == cms
    assert layout(parts.total, cms, parts.tree) == parts
    assert parts.cms_offset % BLOCK_SIZE == 0


def test_the_size_is_big_endian() -> None:
    assert trailer(0x1234) == bytes([0, 0, 0, 0, 0, 0, 0x12, 0x34])


@pytest.mark.parametrize(
    ("total", "last"),
    [
        (0, b""),
        (8, trailer(1)),
        (100_000, trailer(0)),
        (100_000, trailer(LARGEST_CMS + 1)),
        (100_000, trailer(2**64 - 1)),
        (1_000, trailer(993)),
    ],
)
def test_what_is_no_bundle_is_told(total: int, last: bytes) -> None:
    with pytest.raises(BundleError, match="Not a bundle"):
        cms_size(total, last)


@pytest.mark.parametrize("change", [-BLOCK_SIZE, -1, 1, BLOCK_SIZE])
def test_a_wrong_tree_size_is_told(change: int) -> None:
    parts = Layout(300 * BLOCK_SIZE, tree_size(300), 1000)
    with pytest.raises(BundleError, match="damaged"):
        layout(parts.total, parts.cms, parts.tree + change)


def test_a_squashfs_without_a_tree_is_told() -> None:
    with pytest.raises(BundleError, match="4096 bytes are left for the squashfs"):
        layout(Layout(BLOCK_SIZE, 0, 1000).total, 1000, 0)


def test_a_tree_larger_than_the_file_is_told() -> None:
    with pytest.raises(BundleError, match="damaged"):
        layout(100_000, 1000, 2**40)
