"""The dm-verity hash tree that lets a device check a bundle block by block while it reads.

Every 4096-byte block is hashed with SHA-256 behind a salt (dm-verity hash version 1).
The digests fill blocks of their own, 128 in each, padded with zeros; those are hashed in turn until
one digest, the root, is left.
The kernel wants the smallest level first (Documentation/admin-guide/device-mapper/verity.rst), and
RAUC appends the tree right behind the data, without a superblock (docs/reference.rst, "verity
Format").

Why not `veritysetup format`: it would be one more program on the workstation, it wants its hash
area in a file or at an offset of its own, and the tree itself is these thirty lines of hashlib.
`veritysetup verify` and RAUC both accept the result; the tests ask them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

BLOCK_SIZE: Final = 4096
DIGEST_SIZE: Final = 32
DIGESTS_PER_BLOCK: Final = BLOCK_SIZE // DIGEST_SIZE


@dataclass(frozen=True, slots=True)
class HashTree:
    """A hash tree and the root that vouches for it."""

    root: bytes
    """Salted SHA-256 of the topmost block, 32 bytes."""
    blocks: bytes
    """All levels, the smallest first, each a whole number of blocks; empty for one data block."""


def hash_tree(data_blocks: Iterable[bytes], salt: bytes) -> HashTree:
    """Hash blocks into a tree; needs memory for the tree alone, 1/127 of the data."""
    salted = hashlib.sha256(salt)

    def digest(block: bytes) -> bytes:
        state = salted.copy()
        state.update(block)
        return state.digest()

    digests = b"".join(map(digest, data_blocks))
    if not digests:
        raise ValueError("a hash tree needs at least one block")
    levels: list[bytes] = []
    while len(digests) > DIGEST_SIZE:
        level = digests + bytes(-len(digests) % BLOCK_SIZE)
        levels.append(level)
        digests = b"".join(map(digest, _blocks(level)))
    return HashTree(digests, b"".join(reversed(levels)))


def tree_size(data_blocks: int) -> int:
    """How many bytes the tree over so many blocks takes."""
    size = 0
    while data_blocks > 1:
        data_blocks = -(-data_blocks // DIGESTS_PER_BLOCK)
        size += data_blocks * BLOCK_SIZE
    return size


def _blocks(level: bytes) -> Iterator[bytes]:
    return (level[at : at + BLOCK_SIZE] for at in range(0, len(level), BLOCK_SIZE))
