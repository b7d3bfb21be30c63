from __future__ import annotations

from pathlib import Path

import pytest

from flipside_qemu.alarms import Alarm, alarm_in
from flipside_qemu.transcript import Transcript

STAMP = "[  465.373508] "


@pytest.mark.parametrize(
    ("line", "alarm"),
    [
        ("I/O error, dev vda, sector 64304 op 0x0:(READ)", Alarm.FILESYSTEM),
        ("EXT4-fs error (device vda4): ext4_lookup", Alarm.FILESYSTEM),
        ("Kernel panic - not syncing: no init", Alarm.PANIC),
        ("BUG: kernel NULL pointer dereference", Alarm.OOPS),
        ("I/O error, dev nbd0, sector 64552 op 0x0:(READ)", None),
        ("BUG: soft lockup - CPU#0 stuck", None),
    ],
)
def test_a_line_raises_its_alarm(line: str, alarm: Alarm | None) -> None:
    assert alarm_in(STAMP + line) is alarm


@pytest.mark.parametrize("line", ["I/O error, dev nbd0, sector 64552", "BUG: soft lockup - CPU#0"])
def test_half_a_harmless_line_raises_none(line: str, tmp_path: Path) -> None:
    """A console shows lines piece by piece; a beginning must not be taken for a bad line."""
    transcript = Transcript(tmp_path / "console.log")
    for character in f"{STAMP}{line}\n":
        transcript.add(character)
    assert transcript.alarm is None


def test_a_prompt_that_never_ends_raises_its_alarm(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path / "console.log")
    transcript.add("grub> ")
    assert transcript.alarm == (Alarm.GRUB, "grub> ")
