"""Looks at every cut of a recording without booting it, on a disk for each of the host's cores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flipside_qemu.cuts import Cut
from flipside_qemu.findings import Seen
from flipside_qemu.recording import Recording
from flipside_qemu.remains import STRETCHES, Reader
from flipside_qemu.replay import replaying

Numbered = tuple[int, Cut]


def survey(
    recording: Recording, cuts: Sequence[Cut], reader: Reader, directory: Path
) -> list[Seen]:
    """What each of these cuts leaves; they come by rising ``kept``."""
    workers = len(os.sched_getaffinity(0))
    numbered = list(enumerate(cuts))
    share = -(-len(numbered) // workers)
    parts = [numbered[first : first + share] for first in range(0, len(numbered), share)]

    def look(part: Sequence[Numbered]) -> list[Seen]:
        return _look(recording, part, reader, directory / f"cut-{part[0][0]}.raw")

    with ThreadPoolExecutor(workers) as pool:
        return [seen for some in pool.map(look, parts) for seen in some]


def _look(
    recording: Recording, part: Sequence[Numbered], reader: Reader, image: Path
) -> list[Seen]:
    found = []
    with replaying(recording, image, STRETCHES) as replay:
        for number, cut in part:
            with replay.at(cut):
                remains = reader.read(image, replay.prints)
            found.append(Seen(number, cut, _partition(recording, cut), remains))
    return found


def _partition(recording: Recording, cut: Cut) -> str:
    """The partition of the write that a cut is about."""
    place = recording.log.entries[cut.at].start
    names = (name for name, stretch in STRETCHES.items() if stretch.start <= place < stretch.end)
    return next(names, "")
