"""Where the parts of a bundle lie.

    0                                                               end of file
    | squashfs | hash tree over the squashfs | CMS | size of the CMS, 8 bytes, big-endian |

(RAUC docs/reference.rst, "verity Format"; the size is read from the end of the file.)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from flipside_release.errors import BundleError
from flipside_release.verity import BLOCK_SIZE, tree_size

_TRAILER: Final = struct.Struct(">Q")
TRAILER_SIZE: Final = _TRAILER.size
LARGEST_CMS: Final = 64 * 1024
"""RAUC's default for `max-bundle-signature-size`, in bytes; a device refuses more."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The sizes of a bundle's parts, in bytes."""

    squashfs: int
    tree: int
    cms: int

    @property
    def cms_offset(self) -> int:
        """Where the signature begins."""
        return self.squashfs + self.tree

    @property
    def total(self) -> int:
        """How long the whole file is."""
        return self.cms_offset + self.cms + TRAILER_SIZE


def trailer(cms_size: int) -> bytes:
    """The last eight bytes of a bundle."""
    return _TRAILER.pack(cms_size)


def cms_size(total: int, last_bytes: bytes) -> int:
    """How long the signature is, from the file's length and its last eight bytes."""
    if total <= TRAILER_SIZE or len(last_bytes) != TRAILER_SIZE:
        raise BundleError(f"Not a bundle: {total} bytes are too few to hold a signature.")
    (size,) = _TRAILER.unpack(last_bytes)
    if not 0 < size <= min(total - TRAILER_SIZE, LARGEST_CMS):
        raise BundleError(
            f"Not a bundle: its last eight bytes announce a signature of {size} bytes, expected "
            f"1 to {min(total - TRAILER_SIZE, LARGEST_CMS)}."
        )
    return int(size)


def layout(total: int, cms: int, tree: int) -> Layout:
    """Lay out a finished bundle from its length and the two sizes that it states itself."""
    squashfs = total - TRAILER_SIZE - cms - tree
    if squashfs <= BLOCK_SIZE or squashfs % BLOCK_SIZE:
        raise BundleError(
            f"The bundle is damaged: {squashfs} bytes are left for the squashfs, expected a "
            f"multiple of {BLOCK_SIZE} above {BLOCK_SIZE}."
        )
    if tree != tree_size(squashfs // BLOCK_SIZE):
        raise BundleError(
            f"The bundle is damaged: a hash tree of {tree} bytes cannot cover a squashfs of "
            f"{squashfs} bytes, expected {tree_size(squashfs // BLOCK_SIZE)}."
        )
    return Layout(squashfs, tree, cms)
