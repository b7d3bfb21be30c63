"""The artifacts on disk, each under the SHA-256 of its content.

A file is written under a name of its own, flushed, and then renamed: what has its final name is
whole. The same content is kept once.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from flipside_server.byte_range import Span
from flipside_server.errors import OperatorError, StorageError, StorageFullError

_INCOMING = "incoming-"
_BLOCK = 1 << 20
_CHUNK = 1 << 19
"""Bytes a download reads at a time. 512 KiB cost 0.6 CPU ms a MB, 128 KiB 1.0,
2 MiB no less; every download under way holds a few of them in memory."""


@dataclass(frozen=True, slots=True)
class Digests:
    """What was seen of a file while it was kept."""

    size: int
    sha256: str
    sha1: str
    md5: str


class Download:
    """A span of a file as the blocks of a WSGI answer."""

    def __init__(self, file: int, span: Span) -> None:
        self._file = file
        self._span = span

    def __iter__(self) -> Download:
        return self

    @property
    def span(self) -> Span:
        """What of the file is still to come."""
        return self._span

    def fileno(self) -> int:
        """The file, for who copies it without reading it."""
        return self._file

    def __next__(self) -> bytes:
        if not self._span.length:
            raise StopIteration
        return self.read(_CHUNK)

    def read(self, size: int) -> bytes:
        """The next so many bytes. Bottle hands a body with this on as it is, if it may."""
        span = self._span
        block = _read(self._file, Span(span.start, min(span.start + size, span.stop)))
        self._span = Span(span.start + len(block), span.stop)
        return block

    def close(self) -> None:
        """Let go of the file; WSGI servers call this in every case."""
        os.close(self._file)


class ArtifactFolder:
    """Files by their SHA-256."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def prepare(self) -> None:
        """Make the folder and throw away what a cut left unfinished."""
        self._path.mkdir(mode=0o700, exist_ok=True)
        for leftover in self._path.glob(_INCOMING + "*"):
            leftover.unlink()

    def keep(self, stream: BinaryIO, size: int) -> Digests:
        """Copy so many bytes to disk, in one pass and bounded memory; on return it is durable."""
        try:
            file, name = tempfile.mkstemp(prefix=_INCOMING, dir=self._path)
            with os.fdopen(file, "wb") as incoming, _removed_on_failure(Path(name)):
                digests = _copied(stream, incoming)
                if digests.size != size:
                    raise OperatorError(f"the file broke off after {digests.size} of {size} bytes")
                self._settle(Path(name), digests.sha256)
        except OSError as error:
            family = StorageFullError if error.errno == errno.ENOSPC else StorageError
            raise family(f"cannot keep the file in {self._path}: {error.strerror}") from error
        return digests

    def download(self, sha256: str, span: Span) -> Download | bytes:
        """These bytes of the file: at once if they are few, else as blocks."""
        path = self._place(sha256)
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise StorageError(f"the artifact {path} cannot be read: {error.strerror}") from error
        if span.length > _CHUNK:
            return Download(file, span)
        try:
            return _read(file, span)
        finally:
            os.close(file)

    def _place(self, sha256: str) -> Path:
        return self._path / sha256[:2] / sha256

    def _settle(self, incoming: Path, sha256: str) -> None:
        place = self._place(sha256)
        place.parent.mkdir(mode=0o700, exist_ok=True)
        incoming.replace(place)
        for folder in (place.parent, self._path):
            _flush(folder)


def _copied(stream: BinaryIO, incoming: BinaryIO) -> Digests:
    size = 0
    sha256 = hashlib.sha256()
    # Old clients compare these two; nobody trusts them.
    sha1 = hashlib.sha1(usedforsecurity=False)
    md5 = hashlib.md5(usedforsecurity=False)
    while block := stream.read(_BLOCK):
        incoming.write(block)
        size += len(block)
        for digest in (sha256, sha1, md5):
            digest.update(block)
    if not size:
        raise OperatorError("the file is empty: there is nothing to install in it")
    incoming.flush()
    os.fsync(incoming.fileno())
    return Digests(size, sha256.hexdigest(), sha1.hexdigest(), md5.hexdigest())


def _read(file: int, span: Span) -> bytes:
    block = os.pread(file, span.length, span.start)
    if len(block) < span.length:
        raise StorageError(f"an artifact ends at byte {span.start + len(block)}, before its size")
    return block


@contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    done = False
    try:
        yield
        done = True
    finally:
        if not done:
            with suppress(FileNotFoundError):
                path.unlink()


def _flush(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
