"""A corpus of damage: what becomes of a file that was good, each with a name.

It is made and not kept, so that anybody can read what it holds. The random part is the same on
every machine.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

SECTOR = 512


def corpus(sample: bytes) -> Iterator[tuple[str, bytes]]:
    """All damaged forms of a sample."""
    yield from _whole(sample)
    for at in range(len(sample)):
        yield f"cut at {at}", sample[:at]
        yield f"without byte {at}", sample[:at] + sample[at + 1 :]
        yield f"byte {at} zeroed", _changed(sample, at, 0)
        yield f"byte {at} erased", _changed(sample, at, 0xFF)
        yield f"byte {at} flipped", _changed(sample, at, sample[at] ^ 1 << at % 8)
        yield f"torn at {at}", sample[:at] + sample[: len(sample) - at]
    for at in range(0, len(sample), SECTOR):
        hole = sample[:at] + bytes(len(sample[at : at + SECTOR])) + sample[at + SECTOR :]
        yield f"sector at {at} lost", hole


def _whole(sample: bytes) -> Iterator[tuple[str, bytes]]:
    chance = random.Random(6)
    yield "nothing", b""
    yield "zeros", bytes(len(sample))
    yield "erased", b"\xff" * len(sample)
    yield "twice", sample * 2
    yield "backwards", sample[::-1]
    yield "words swapped", b"".join(sample[at : at + 2][::-1] for at in range(0, len(sample), 2))
    yield "as UTF-16", sample.decode("latin-1").encode("utf-16")
    yield "with another system's line ends", sample.replace(b"\n", b"\r\n")
    for number in range(100):
        yield f"rubbish {number}", chance.randbytes(chance.randrange(2 * len(sample) + 2))


def _changed(sample: bytes, at: int, byte: int) -> bytes:
    return sample[:at] + bytes([byte]) + sample[at + 1 :]
