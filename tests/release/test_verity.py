"""The hash tree, against its definition and against cryptsetup's implementation."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flipside_release.verity import BLOCK_SIZE, HashTree, hash_tree, tree_size

SALT = bytes(range(32))


def blocks_of(count: int) -> list[bytes]:
    noise = random.Random(count)
    return [noise.randbytes(BLOCK_SIZE) for _ in range(count)]


def checked_by_reading(tree: HashTree, blocks: list[bytes]) -> bool:
    """Check each block as a kernel does: from the root down, one path at a time."""
    counts = [len(blocks)]
    while counts[-1] > 1:
        counts.append(-(-counts[-1] // 128))
    offsets = [sum(counts[level + 1 :]) * BLOCK_SIZE for level in range(1, len(counts))]

    def digest(block: bytes) -> bytes:
        return hashlib.sha256(SALT + block).digest()

    def sound(block: bytes, level: int, index: int) -> bool:
        if level == len(offsets):
            return digest(block) == tree.root
        start = offsets[level] + index // 128 * BLOCK_SIZE
        parent = tree.blocks[start : start + BLOCK_SIZE]
        at = index % 128 * 32
        return parent[at : at + 32] == digest(block) and sound(parent, level + 1, index // 128)

    return all(sound(block, 0, index) for index, block in enumerate(blocks))


@given(st.sampled_from([1, 2, 3, 127, 128, 129, 255, 256, 257, 128 * 3 + 1]))
def test_every_block_is_vouched_for_by_the_root(count: int) -> None:
    blocks = blocks_of(count)
    assert checked_by_reading(hash_tree(blocks, SALT), blocks)


def test_three_levels() -> None:
    blocks = [bytes([n % 251]) * BLOCK_SIZE for n in range(128 * 128 + 1)]
    tree = hash_tree(blocks, SALT)
    assert len(tree.blocks) == tree_size(len(blocks)) == (1 + 2 + 129) * BLOCK_SIZE
    assert checked_by_reading(tree, blocks)


@given(st.integers(min_value=1, max_value=600))
def test_size_is_known_before_the_tree(count: int) -> None:
    assert tree_size(count) == len(hash_tree([bytes(BLOCK_SIZE)] * count, SALT).blocks)


@given(
    st.integers(min_value=0, max_value=299),
    st.integers(min_value=0, max_value=BLOCK_SIZE - 1),
    st.integers(min_value=1, max_value=255),
)
def test_any_changed_byte_changes_the_root(block: int, at: int, flip: int) -> None:
    blocks = [bytes(BLOCK_SIZE)] * 300
    changed = bytearray(BLOCK_SIZE)
    changed[at] ^= flip
    other = [*blocks[:block], bytes(changed), *blocks[block + 1 :]]
    assert hash_tree(blocks, SALT).root != hash_tree(other, SALT).root


def test_the_salt_changes_the_root() -> None:
    assert hash_tree(blocks_of(2), SALT).root != hash_tree(blocks_of(2), bytes(32)).root


def test_nothing_has_no_tree() -> None:
    with pytest.raises(ValueError, match="at least one block"):
        hash_tree([], SALT)


@pytest.mark.parametrize("count", [2, 128, 129, 300])
def test_cryptsetup_agrees(tmp_path: Path, count: int) -> None:
    if shutil.which("veritysetup") is None:
        pytest.skip("veritysetup is not on PATH (Debian package cryptsetup-bin)")
    blocks = [bytes([n % 251]) * BLOCK_SIZE for n in range(count)]
    tree = hash_tree(blocks, SALT)
    device = tmp_path / "device"
    device.write_bytes(b"".join(blocks) + tree.blocks)
    verify = [
        *("veritysetup", "verify", str(device), str(device), tree.root.hex(), "--no-superblock"),
        *("--format=1", "--hash=sha256", f"--salt={SALT.hex()}", f"--data-blocks={count}"),
        *("--data-block-size=4096", "--hash-block-size=4096"),
        f"--hash-offset={count * BLOCK_SIZE}",
    ]
    assert subprocess.run(verify, capture_output=True, check=False).returncode == 0
    device.write_bytes(b"".join([*blocks[:-1], bytes([255]) * BLOCK_SIZE]) + tree.blocks)
    assert subprocess.run(verify, capture_output=True, check=False).returncode != 0
