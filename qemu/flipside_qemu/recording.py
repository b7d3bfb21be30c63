"""A recording: a disk as it was, every write since, and what the console said meanwhile."""

from __future__ import annotations

import json
import mmap
import os
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from flipside_qemu import device, write_log
from flipside_qemu.device import Device
from flipside_qemu.emulator import Emulator
from flipside_qemu.machine import SECTOR, Machine
from flipside_qemu.write_log import WriteLog

LOG, MARKS = "writes.log", "marks.json"
_WORDS = re.compile(r"flipside: (.*)")
"""The boot loader and the agent begin with the same word."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that was said on the console, and how far the disk had come when it was heard.

    A line takes its time to the host, so the disk may have come further than when it was said,
    never less: what the speaker had on the disk for good by then is among these entries.
    """

    entries: int
    words: str


@dataclass(frozen=True, slots=True)
class Recording:
    """Everything that is needed to cut the power again, anywhere."""

    base: Path
    """The disk before its first write, raw."""
    log: WriteLog
    marks: tuple[Mark, ...]

    def before(self, number: int) -> bytes:
        """What is on the disk where an entry writes, once all those before it are."""
        entry = self.log.entries[number]
        with self.base.open("rb") as file:
            content = bytearray(os.pread(file.fileno(), entry.length, entry.start))
        for earlier in range(number):
            other = self.log.entries[earlier]
            start, end = max(entry.start, other.start), min(entry.end, other.end)
            if start < end:
                data = self.log.data(earlier)[start - other.start : end - other.start]
                content[start - entry.start : end - entry.start] = data
        return bytes(content)

    def changed(self, number: int) -> list[int]:
        """Which sectors of an entry differ from what they overwrite, the first one being 0."""
        old, new, size = self.before(number), self.log.data(number), self.log.sector
        places = range(0, len(new), size)
        return [n for n, at in enumerate(places) if old[at : at + size] != new[at : at + size]]


class Recorder:
    """Takes down what a device writes and says, in one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._marks: list[Mark] = []

    def device(self, machine: Machine, emulator: Emulator) -> Device:
        """A device that is recorded: as :func:`flipside_qemu.device.fresh` makes one, off."""
        self._directory.mkdir(parents=True, exist_ok=True)
        log = self._directory / LOG
        log.write_bytes(b"")
        recorded = replace(machine, write_log=log)
        return device.fresh(recorded, emulator, self._directory, hear=self.hear)

    def hear(self, line: str) -> None:
        """Take a line of the console."""
        if found := _WORDS.search(line):
            with (self._directory / LOG).open("rb") as log:
                self._marks.append(Mark(write_log.entries_so_far(log.read(SECTOR)), found[1]))

    def save(self) -> None:
        """Keep what was heard beside what was written; the device must be off."""
        marks = [asdict(mark) for mark in self._marks]
        (self._directory / MARKS).write_text(json.dumps(marks, indent=1) + "\n")


def load(base: Path, directory: Path) -> Recording:
    """A recording of a device whose disk was this one before."""
    with (directory / LOG).open("rb") as file:
        raw = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    marks = json.loads((directory / MARKS).read_text())
    return Recording(base, write_log.parse(raw), tuple(Mark(**mark) for mark in marks))
