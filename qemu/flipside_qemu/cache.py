"""What takes long to build and never changes: kept by the key of everything it was built from.

An entry is a directory. It is built beside its place and renamed into it when it is complete, so
an interrupted build is never taken for an entry; of two builders at once, the second waits.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flipside_qemu.errors import HostError

Say = Callable[[str], None]
"""Takes one line about long work, for whoever waits."""


def default_directory() -> Path:
    """``$XDG_CACHE_HOME/flipside``, else ``~/.cache/flipside``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "flipside"


def key_of(*parts: str | bytes) -> str:
    """A short name for this sequence of ingredients."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "little"))
        digest.update(raw)
    return digest.hexdigest()[:16]


def recipe(*modules: str) -> bytes:
    """The source of these modules (their ``__file__``): how a thing is made is an ingredient.

    For what is made in seconds; what takes minutes has a version that is counted up by hand.
    """
    return b"".join(Path(module).read_bytes() for module in modules)


@dataclass(frozen=True, slots=True)
class Cache:
    """A directory of entries, each named after its kind and its key."""

    directory: Path
    say: Say
    """Told when something is built, and how long it took."""

    def entry(self, kind: str, key: str, keep: int, build: Callable[[Path], None]) -> Path:
        """The entry's directory, built if it is not there; of this kind so many are kept."""
        place = self.directory / f"{kind}-{key}"
        if not place.is_dir():
            with self._lock(kind):
                if not place.is_dir():
                    self._build(place, kind, build)
                    self._drop_old(kind, keep)
        os.utime(place)
        return place

    def _build(self, place: Path, kind: str, build: Callable[[Path], None]) -> None:
        started = time.monotonic()
        beside = place.with_name(f".{place.name}.partial")
        _remove(beside)
        beside.mkdir()
        try:
            build(beside)
            # A rename may reach the disk before the data of the files does.
            os.sync()
            beside.rename(place)
        except OSError as error:
            raise HostError(
                f"{error.filename or place}: {error.strerror or error},"
                f" expected to build the {kind} in {self.directory}"
            ) from error
        finally:
            _remove(beside)
        self.say(f"{kind} is ready after {time.monotonic() - started:.0f} s")

    def _drop_old(self, kind: str, keep: int) -> None:
        """Entries that were not used for longest go; one in use is used often."""
        found = self.directory.glob(f"{kind}-*")
        # "rootfs-*" finds those of "rootfs-trixie" as well.
        entries = [path for path in found if path.name.rpartition("-")[0] == kind]
        entries.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for path in entries[keep:]:
            doomed = path.with_name(f".{path.name}.partial")
            path.rename(doomed)
            _remove(doomed)

    @contextmanager
    def _lock(self, kind: str) -> Iterator[None]:
        """Held by the one builder of a kind; the kernel lets go of it if that one dies."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.directory / f".{kind}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise HostError(
                f"{self.directory}: {error.strerror}, expected a directory for the cache;"
                " set XDG_CACHE_HOME to one that can be written"
            ) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.say(f"another run is building the {kind}, waiting for it")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
