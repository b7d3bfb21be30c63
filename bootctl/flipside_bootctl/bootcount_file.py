"""The file in which a U-Boot with ``CONFIG_BOOTCOUNT_FS`` counts boots.

Format: U-Boot, drivers/bootcount/bootcount_fs.c: magic, version, count, and whether an upgrade is
available, a byte each. The first release of it (bootcount_ext.c of 2017) had a magic of its own
and the count, and counted always.
"""

from __future__ import annotations

from typing import NamedTuple

from flipside_bootctl.errors import DamagedState

_MAGIC, _VERSION, _OLD_MAGIC = 0xBD, 1, 0xBC
LARGEST = 255
LONGEST = 4
"""Bytes."""


class Bootcount(NamedTuple):
    """How many boots U-Boot has begun, and whether it counts at all."""

    boots: int
    counting: bool
    """``upgrade_available``: U-Boot neither counts nor gives up where it is not set."""


def decode(block: bytes) -> Bootcount:
    """What the file says; raises DamagedState where U-Boot takes it for no boots at all."""
    if len(block) == 4 and block[:2] == bytes((_MAGIC, _VERSION)):
        return Bootcount(block[2], block[3] != 0)
    if len(block) == 2 and block[0] == _OLD_MAGIC:
        return Bootcount(block[1], counting=True)
    raise DamagedState(
        f"boot count of {len(block)} bytes that begins {block[:4].hex() or 'nowhere'}, "
        f"expected {_MAGIC:02x}{_VERSION:02x} and two more"
    )


def encode(bootcount: Bootcount) -> bytes:
    """The file that says so, in the newer format."""
    return bytes((_MAGIC, _VERSION, bootcount.boots, bootcount.counting))
