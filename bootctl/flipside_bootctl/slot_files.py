"""Where a slot's kernel comes from: its own root file system."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from flipside_bootctl.errors import SlotUnreadable
from flipside_bootctl.running import current_slot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


class SlotFiles(Protocol):
    """Gives a look into a slot."""

    def opened(self, name: str) -> AbstractContextManager[str]:
        """Path below which the slot's files can be read meanwhile."""
        ...


class SlotTree:
    """A slot whose files lie in a directory, as where an image is made."""

    def __init__(self, path: str) -> None:
        """Take the directory; it is that of whatever slot is asked for."""
        self._path = path

    @contextmanager
    def opened(self, name: str) -> Iterator[str]:
        """The directory."""
        yield self._path


class SlotMount:
    """The slots of this device, mounted read-only while they are looked at."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        """Take the directory at which this device's file system starts."""
        self._root = root

    @contextmanager
    def opened(self, name: str) -> Iterator[str]:
        """The running slot's own files, or the other slot's, below /run."""
        if name == current_slot(self._root):
            yield os.fspath(self._root)
            return
        label = f"root-{name.lower()}"
        device = os.path.join(self._root, "dev/disk/by-partlabel", label)
        point = os.path.join(self._root, "run/flipside", label)
        _make(point)
        _run("mount", "-o", "ro,nosuid,nodev,noexec", device, point)
        try:
            yield point
        finally:
            _run("umount", point)


def _make(point: str) -> None:
    try:
        os.makedirs(point, exist_ok=True)
    except OSError as error:
        raise SlotUnreadable(
            f"{point}: {error.strerror}, expected to mount a slot there"
        ) from error


def _run(*command: str) -> None:
    # Only an installation comes here: whoever asks for a state does not pay for it.
    import subprocess

    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError as error:
        raise SlotUnreadable(f"{command[0]}: {error.strerror}, expected to run it") from error
    if done.returncode:
        said = " ".join(done.stderr.split())
        raise SlotUnreadable(f"{' '.join(command)}: {said or f'exit code {done.returncode}'}")
