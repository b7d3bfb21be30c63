"""Tells notes to the audit log, a second's worth at a time, behind everybody's back."""

from __future__ import annotations

import logging
import threading

from flipside_server.audit_log import AuditLog
from flipside_server.errors import StorageError
from flipside_server.note import Note
from flipside_server.tiny_store import TinyStore

_PAUSE = 1.0
"""Seconds that notes are gathered, so that they share a flush of the audit log."""
_log = logging.getLogger(__name__)


class Scribe:
    """Moves notes from the records to the audit log; a cut in between moves none twice."""

    def __init__(self, store: TinyStore, log: AuditLog) -> None:
        self._store = store
        self._audit = log
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wanted = False
        self._closing = threading.Event()

    def wake(self) -> None:
        """There are notes to tell; returns at once."""
        with self._lock:
            self._wanted = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="scribe")
                self._thread.start()

    def tell(self) -> None:
        """Tell what there is to tell."""
        notes = list(self._store.all(Note))
        if notes:
            self._audit.tell(notes)
            self._store.save(without=notes)

    def close(self) -> None:
        """Tell the rest."""
        self._closing.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        while True:
            self._closing.wait(_PAUSE)
            with self._lock:
                self._wanted = False
            try:
                self.tell()
            except StorageError as error:
                _log.error("%s", error)
            with self._lock:
                if not self._wanted or self._closing.is_set():
                    self._thread = None
                    return
