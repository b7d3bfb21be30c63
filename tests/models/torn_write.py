"""A power cut within a write in place: so many bytes get to the disk, and no more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch


class Cut(Exception):
    """The power is gone."""


@contextmanager
def power_until(budget: int) -> Iterator[None]:
    """Let so many bytes be written, the last of them perhaps in the middle of a sector."""
    left, pwrite = [budget], os.pwrite

    def written(descriptor: int, data: bytes, at: int) -> int:
        count = min(left[0], len(data))
        pwrite(descriptor, data[:count], at)
        left[0] -= count
        if count < len(data):
            raise Cut
        return count

    with patch("os.pwrite", written):
        yield
