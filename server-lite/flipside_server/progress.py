"""A file that tells how much of it has been read."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import BinaryIO


class ProgressFile:
    """Reads a file and says after each read how far it is."""

    def __init__(self, file: BinaryIO, tell: Callable[[int, int], None]) -> None:
        self._file = file
        self._tell = tell
        self._done = 0

    def fileno(self) -> int:
        """The file's descriptor."""
        return self._file.fileno()

    def size(self) -> int:
        """Bytes of the file."""
        return os.fstat(self.fileno()).st_size

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        block = self._file.read(size)
        self._done += len(block)
        self._tell(self._done, self.size())
        return block
