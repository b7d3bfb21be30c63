"""The data directory opened for work: by us, or by the server that holds it already."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from flipside_server.artifact_folder import ArtifactFolder
from flipside_server.audit_log import AuditLog
from flipside_server.audited_control import AuditedControl
from flipside_server.audited_store import AuditedStore
from flipside_server.contacts import Contacts
from flipside_server.control import Control
from flipside_server.directory import DataDirectory, held, opened, short_path
from flipside_server.errors import DirectoryHeldError, StorageError
from flipside_server.note import Note
from flipside_server.orders import CarriesOut
from flipside_server.remote_control import RemoteControl
from flipside_server.scribe import Scribe
from flipside_server.tiny_store import TinyStore

_PATIENCE = 5.0
"""Seconds to wait for a process that is about to let go of the directory."""
_PAUSE = 0.05
"""Seconds between two tries."""


@dataclass(frozen=True, slots=True)
class Premises:
    """A data directory that is ours alone, with all that works in it."""

    directory: DataDirectory
    store: AuditedStore
    artifacts: ArtifactFolder
    contacts: Contacts
    control: AuditedControl


@contextmanager
def occupied(data: Path, *, create: bool) -> Iterator[Premises | None]:
    """The directory, ours while the context lasts; None if a running server holds it."""
    directory = opened(data, create=create)
    with ExitStack() as stack:
        if not _held(stack, directory):
            yield None
            return
        artifacts, contacts = ArtifactFolder(directory.artifacts), Contacts()
        try:
            artifacts.prepare()
        except OSError as error:
            raise StorageError(f"cannot use {directory.artifacts}: {error.strerror}") from error
        store = _audited(stack, directory)
        control = AuditedControl(Control(store, artifacts, contacts, milliseconds), store)
        yield Premises(directory, store, artifacts, contacts, control)


def _audited(stack: ExitStack, directory: DataDirectory) -> AuditedStore:
    store = TinyStore.open(directory.records)
    stack.callback(store.close)
    pending = store.first(Note)
    log = AuditLog.open(directory.audit, pending)
    stack.callback(log.close)
    scribe = Scribe(store, log)
    stack.callback(scribe.close)
    if pending is not None:
        # Left over by a process that was killed.
        scribe.wake()
    return AuditedStore(store, milliseconds, scribe.wake)


@contextmanager
def reached(data: Path, *, create: bool) -> Iterator[CarriesOut]:
    """Whoever can carry out orders on this directory."""
    with occupied(data, create=create) as premises:
        yield premises.control if premises else RemoteControl(DataDirectory(data).socket)


def milliseconds() -> int:
    """Now, since 1970."""
    return time.time_ns() // 1_000_000


def _held(stack: ExitStack, directory: DataDirectory) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            stack.enter_context(held(directory))
        except DirectoryHeldError:
            if _answers(directory):
                return False
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)
        else:
            return True


def _answers(directory: DataDirectory) -> bool:
    with short_path(directory.socket) as path, socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0
