"""The audit log on the disk: a file to which lines are added, many with one flush."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from flipside_server.audit import Chain, followed, note_in, resumed, told
from flipside_server.errors import StorageError, StorageFullError
from flipside_server.log_file import NO_ROOM, flush_directory, write_at
from flipside_server.note import Note

_LONGEST_LINE = 4 << 20
_log = logging.getLogger(__name__)


class AuditLog:
    """Adds lines; only their last one is kept in mind."""

    def __init__(self, path: Path, file: int, size: int, chain: Chain) -> None:
        self._path = path
        self._file = file
        self._size = size
        self._chain = chain

    @classmethod
    def open(cls, path: Path, pending: int | None = None) -> AuditLog:
        """The log in this file, which is made if it does not exist.

        Notes from ``pending`` on may not have reached the disk: where a cut tore their lines, the
        log is cut off, and they are told anew. Damage to what was flushed stays as it is found.
        """
        try:
            fresh = not path.exists()
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if fresh:
                flush_directory(path.parent)
            size, chain = _end(path, file, pending)
        except OSError as error:
            raise StorageError(f"cannot open {path}: {error.strerror}") from error
        return cls(path, file, size, chain)

    @property
    def chain(self) -> Chain:
        """How far the log goes."""
        return self._chain

    def tell(self, notes: Iterable[Note]) -> None:
        """Add a line for each note that was not told before; on return they are durable."""
        chain, lines = self._chain, []
        for note in notes:
            if note.id > chain.note:
                line, chain = told(chain, note)
                lines.append(line)
        text = b"".join(lines)
        try:
            write_at(self._file, text, self._size)
            os.fdatasync(self._file)
        except OSError as error:
            family = StorageFullError if error.errno in NO_ROOM else StorageError
            raise family(
                f"cannot write to {self._path}: {error.strerror}; what it is to tell is kept in "
                "the records until it can"
            ) from error
        self._size, self._chain = self._size + len(text), chain

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


def _end(path: Path, file: int, pending: int | None) -> tuple[int, Chain]:
    size = os.fstat(file).st_size
    begin = max(0, size - _LONGEST_LINE)
    lines = _lines(os.pread(file, size - begin, begin))
    known, chain = _sound(lines, Chain() if begin == 0 else None)
    if known == len(lines):
        return size, chain
    if pending is None or any(note_in(line, pending) < pending for line in lines[known:]):
        return _sealed(file, size, lines)
    _log.warning("cut off what a cut tore at the end of %s; it is told anew", path)
    size = begin + sum(map(len, lines[:known]))
    os.ftruncate(file, size)
    os.fsync(file)
    return size, chain


def _lines(tail: bytes) -> list[bytes]:
    *whole, rest = tail.split(b"\n")
    return [line + b"\n" for line in whole] + ([rest] if rest else [])


def _sound(lines: list[bytes], start: Chain | None) -> tuple[int, Chain]:
    """How many of the lines follow from each other, and the chain up to there."""
    chain = start
    for number, line in enumerate(lines):
        # Before the first line of a long log is what was not read.
        found = followed(chain, line) if chain else resumed(line, 0)
        if isinstance(found, str):
            return number, chain or Chain()
        chain = found
    return len(lines), chain or Chain()


def _sealed(file: int, size: int, lines: list[bytes]) -> tuple[int, Chain]:
    # Somebody's work: it stays for 'audit verify' to find, and the log goes on behind it.
    if not lines[-1].endswith(b"\n"):
        write_at(file, b"\n", size)
        return size + 1, resumed(lines[-1] + b"\n", len(lines))
    return size, resumed(lines[-1], len(lines))
