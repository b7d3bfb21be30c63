"""A serial line: what comes in goes into a transcript at once, whoever waits or does not."""

from __future__ import annotations

import os
import select
import threading

from flipside_qemu.terminal import Terminal
from flipside_qemu.transcript import Transcript

_GLANCE = 0.2
"""Seconds between two looks at whether to hang up."""


class Line:
    """One end of a serial line, connected for as long as the device at the other end has power."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._end = -1
        self._reader: threading.Thread | None = None
        self._hanging_up = threading.Event()

    def connect(self, end: int) -> None:
        """Read from this file descriptor until it closes or the line is hung up; it is owned."""
        self._end = end
        self._hanging_up.clear()
        self._transcript.begin()
        self._reader = threading.Thread(target=self._read, name="serial line", daemon=True)
        self._reader.start()

    def hang_up(self) -> None:
        """Disconnect, after everything that has already come was read."""
        if self._reader is None:
            return
        self._hanging_up.set()
        self._reader.join()
        self._reader = None
        os.close(self._end)

    def write(self, data: bytes) -> None:
        """Send; nothing happens if the other end is gone, as on a real line."""
        try:
            while data:
                data = data[os.write(self._end, data) :]
        except OSError:
            self._transcript.end()

    def _read(self) -> None:
        terminal = Terminal()
        while data := self._receive():
            text, answers = terminal.feed(data)
            self._transcript.add(text)
            if answers:
                self.write(answers)
        self._transcript.end()

    def _receive(self) -> bytes:
        """The next bytes, or none at the end of the line."""
        while not select.select([self._end], [], [], _GLANCE)[0]:
            if self._hanging_up.is_set():
                return b""
        try:
            return os.read(self._end, 65536)
        except OSError:
            # A pseudo terminal says EIO, a socket ECONNRESET, where a pipe would just end.
            return b""
