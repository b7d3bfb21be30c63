"""The data directory: where everything lies, and the lock that lets one process in."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flipside_server.errors import DirectoryHeldError, OperatorError, StorageError


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """The places inside a data directory."""

    path: Path

    @property
    def records(self) -> Path:
        """The log of all records."""
        return self.path / "records.log"

    @property
    def audit(self) -> Path:
        """The audit log."""
        return self.path / "audit.log"

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints of the audit log are kept, if they are kept here."""
        return self.path / "audit.checkpoints"

    @property
    def artifacts(self) -> Path:
        """The folder of artifacts."""
        return self.path / "artifacts"

    @property
    def lock(self) -> Path:
        """The file that the one process at work locks."""
        return self.path / "lock"

    @property
    def socket(self) -> Path:
        """Where a running server takes commands."""
        return self.path / "control.sock"


def opened(path: Path, *, create: bool) -> DataDirectory:
    """The data directory at this path, made if it may be, and its owner's eyes only."""
    if not path.is_dir() and not create:
        raise OperatorError(
            f"there is no data directory at {path}: name it with --data, or begin one with "
            "'flipside-server serve' or 'flipside-server target add'"
        )
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _become_owner(path)
    except OSError as error:
        raise StorageError(f"cannot use {path} as data directory: {error.strerror}") from error
    return DataDirectory(path)


def _become_owner(path: Path) -> None:
    # Files that root made here could not be read by the server, which runs as the owner.
    found = path.stat()
    if os.geteuid() == 0 and found.st_uid != 0:
        os.setegid(found.st_gid)
        os.seteuid(found.st_uid)


@contextmanager
def held(directory: DataDirectory) -> Iterator[None]:
    """Hold the directory as its only process, or raise DirectoryHeldError at once."""
    try:
        file = os.open(directory.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"cannot open {directory.lock}: {error.strerror}") from error
    try:
        _lock(file, directory)
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(file)


def _lock(file: int, directory: DataDirectory) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(file, 20, 0).decode("ascii", "replace")
        raise DirectoryHeldError(
            f"the data directory {directory.path} is in use by process {holder}, which does not "
            "answer: wait until it has ended, or end it"
        ) from error


@contextmanager
def short_path(place: Path) -> Iterator[str]:
    """A name for the socket that fits: its own may exceed the 107 bytes a Unix socket has."""
    folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{place.name}"
    finally:
        os.close(folder)
