"""The log of a disk's writes, the cuts that are made of it, and the disk that they leave."""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from flipside_qemu import cuts, sparse, write_log
from flipside_qemu.cuts import Cut, Kind
from flipside_qemu.errors import OperatorError
from flipside_qemu.fingerprint import Fingerprints, Stretch, difference, filled
from flipside_qemu.recording import Mark, Recorder, Recording, load
from flipside_qemu.replay import replaying
from flipside_qemu.write_log import Epoch, Flag, WriteLog
from models.write_logs import SECTOR, LogWriter

SECTORS = 64
DISK = {"whole": Stretch(0, SECTORS * SECTOR)}
Recorded = Callable[[WriteLog], Recording]


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    """Makes a log the recording of a disk that was full of zeros."""
    base = tmp_path / "zeros"
    base.write_bytes(bytes(256 * SECTOR))
    return lambda log: Recording(base, log, ())


def busy(seed: int = 1) -> WriteLog:
    """A log with epochs of all lengths, some of whose writes overlap."""
    random, log = Random(seed), LogWriter()
    for length in (1, 0, 2, 7, 60, 3):
        for _ in range(length):
            letters = random.choices("abcdefgh", k=random.randint(1, 9))
            log.write(random.randrange(SECTORS - 9), *letters)
        log.flush()
    return log.write(3, "y", "z").log()


# The format


def test_entries_are_found_behind_each_other() -> None:
    log = LogWriter().write(7, "a", "b").flush().discard(9, 4).mark(b"x" * 700).write(1, "c").log()
    assert [(entry.start // SECTOR, entry.length // SECTOR) for entry in log.entries] == [
        *((7, 2), (0, 0), (9, 4), (0, 0), (1, 1))
    ]
    assert log.entries[1].flags is Flag.FLUSH
    assert log.data(0) == b"a" * 512 + b"b" * 512
    assert log.data(2) == bytes(4 * 512)
    assert log.data(4) == b"c" * 512


def test_a_flush_parts_two_epochs_and_belongs_to_neither() -> None:
    log = LogWriter().write(1, "a").write(2, "b").flush().write(3, "c").flush().write(4, "d").log()
    assert log.epochs() == [Epoch(0, 2), Epoch(2, 4), Epoch(4, 6)]


def test_a_flush_with_data_comes_before_its_own_data(recorded: Recorded) -> None:
    log = LogWriter().write(1, "a").add(2, 1, Flag.FLUSH, b"b" * 512).flush().log()
    assert log.epochs() == [Epoch(0, 1), Epoch(1, 2), Epoch(2, 3)]
    assert [cut.kept for cut in cuts.of(recorded(log), 1) if cut.kind is Kind.UP_TO] == [0, 1, 2]


def test_the_superblock_of_a_growing_log_counts_its_entries() -> None:
    log = LogWriter().write(1, "a").flush()
    assert write_log.entries_so_far(log.raw[:SECTOR]) == 2


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"", "a write log of 0 bytes, expected a superblock in it"),
        (bytes(512), r"begins with 0x0 and version 0, expected 0x6a736677736872 and 1"),
        (bytes(LogWriter().write(1, "a").raw[:-1]), "ends in entry 0 of 1"),
        (bytes(LogWriter().write(1, "a").flush().raw[:-512]), "ends in entry 1 of 2"),
        (
            bytes(LogWriter().add(1, 1, Flag.FUA, b"a" * 512).raw),
            "entry 0 of the write log has FUA",
        ),
    ],
)
def test_what_is_no_log_is_refused(raw: bytes, complaint: str) -> None:
    with pytest.raises(OperatorError, match=complaint):
        write_log.parse(raw)


# The cuts


def test_every_boundary_is_a_cut(recorded: Recorded) -> None:
    log = busy()
    wanted = [number + 1 for number, entry in enumerate(log.entries) if entry.length]
    assert [cut.kept for cut in cuts.of(recorded(log), 1) if cut.kind is Kind.UP_TO] == [0, *wanted]


def test_a_cut_has_nothing_of_an_epoch_unless_it_has_all_of_those_before(
    recorded: Recorded,
) -> None:
    log = busy()
    writes = set(log.writes())
    for cut in cuts.of(recorded(log), 1):
        there = writes & {*range(cut.kept), *cut.also} | ({cut.at} if cut.sectors[1] else set())
        for epoch in log.epochs():
            if any(number >= epoch.last for number in there):
                assert writes & set(range(epoch.last)) <= there, cut


def test_each_write_of_an_epoch_is_missed_once_alone_once_and_torn_everywhere(
    recorded: Recorded,
) -> None:
    log = LogWriter().write(1, "a").write(2, "b").write(3, "c", "d", "e").flush().log()
    found = [cut for cut in cuts.of(recorded(log), 1) if cut.kind is not Kind.SOME]
    assert Counter(cut.kind for cut in found) == {
        **{Kind.UP_TO: 4, Kind.WITHOUT: 3, Kind.ONLY: 3},
        Kind.TORN: 3,
    }
    without = next(cut for cut in found if cut.kind is Kind.WITHOUT and cut.at == 1)
    assert (without.kept, without.also) == (1, (2,))
    assert {cut.sectors for cut in found if cut.kind is Kind.TORN} >= {(0, 1), (0, 2)}


def test_a_write_is_torn_behind_each_sector_that_it_changes(recorded: Recorded) -> None:
    page = ["a"] * 128
    log = LogWriter().write(0, *page).flush()
    for changed in (3, 4, 100):
        page[changed] = "b"
    log.write(0, *page)
    assert torn(recorded(log.log()), 2) == {(0, 4), (0, 5), *torn_at_last(recorded(log.log()), 2)}
    assert torn_at_last(recorded(log.log()), 2) < {(4, 128), (5, 128)}


@pytest.mark.parametrize("later", ["aaa", "aba", "baa", "aab"])
def test_a_write_that_changes_one_sector_or_none_is_not_torn(
    recorded: Recorded, later: str
) -> None:
    log = LogWriter().write(1, *"aaa").flush().write(1, *later).log()
    assert torn(recorded(log), 2) == set()


def test_what_a_write_changes_is_told_from_all_that_came_before_it(recorded: Recorded) -> None:
    log = LogWriter().write(3, "c").write(2, "b", "b").discard(5, 1).flush().write(2, *"bcda").log()
    found = recorded(log)
    assert found.before(4) == b"b" * SECTOR + b"b" * SECTOR + bytes(2 * SECTOR)
    assert found.changed(4) == [1, 2, 3]
    assert found.changed(2) == []


def torn(recording: Recording, number: int) -> set[tuple[int, int]]:
    found = cuts.of(recording, 1)
    return {cut.sectors for cut in found if cut.kind is Kind.TORN and cut.at == number}


def torn_at_last(recording: Recording, number: int) -> set[tuple[int, int]]:
    return {sectors for sectors in torn(recording, number) if sectors[0]}


def test_of_a_long_epoch_a_sample_is_drawn_and_prefixes_are_all_there(recorded: Recorded) -> None:
    log = LogWriter()
    for number in range(100):
        log.write(number, "a")
    found = Counter(cut.kind for cut in cuts.of(recorded(log.log()), 1))
    assert found[Kind.UP_TO] == 101
    assert found[Kind.WITHOUT] == found[Kind.ONLY] == cuts.SAMPLE


def test_the_same_seed_draws_the_same_cuts_and_another_one_others(recorded: Recorded) -> None:
    assert cuts.of(recorded(busy()), 1) == cuts.of(recorded(busy()), 1)
    assert cuts.of(recorded(busy()), 1) != cuts.of(recorded(busy()), 2)


def test_a_cut_says_what_it_is() -> None:
    assert [
        str(cut)
        for cut in (
            Cut(Kind.UP_TO, 8, 7),
            Cut(Kind.WITHOUT, 7, 7, (8, 9)),
            Cut(Kind.SOME, 4, 9, (5, 7)),
            Cut(Kind.TORN, 7, 7, sectors=(0, 3)),
        )
    ] == ["up to 7", "without 7", "some of 4..9: 5 7", "torn 7, sectors 0 to 2 of it"]


# The disk


def model(base: bytes, log: WriteLog, cut: Cut) -> bytes:
    """What a cut leaves, by a copy of the whole disk."""
    disk = bytearray(base)
    for number in (*range(cut.kept), *cut.also):
        entry = log.entries[number]
        disk[entry.start : entry.end] = log.data(number)
    first, last = (sector * SECTOR for sector in cut.sectors)
    if last:
        start = log.entries[cut.at].start
        disk[start + first : start + last] = log.data(cut.at)[first:last]
    return bytes(disk)


def test_replayed_in_place_every_cut_is_what_a_copy_would_be(tmp_path: Path) -> None:
    base = bytes(Random(1).randbytes(SECTORS * SECTOR))
    (tmp_path / "base").write_bytes(base)
    log, image = busy(), tmp_path / "work"
    recording = Recording(tmp_path / "base", log, ())
    with replaying(recording, image, DISK) as replay:
        for cut in cuts.of(recording, 1):
            with replay.at(cut):
                expected = model(base, log, cut)
                assert image.read_bytes() == expected, cut
                assert replay.prints["whole"] == difference(0, base, expected, SECTOR)
        with (
            pytest.raises(ValueError, match="expected cuts by rising kept"),
            replay.at(Cut(Kind.UP_TO, 0, 0)),
        ):
            pass
    assert not image.exists()


def test_a_fingerprint_tells_content_and_not_the_way_to_it(tmp_path: Path) -> None:
    (tmp_path / "base").write_bytes(bytes(8 * SECTOR))
    (tmp_path / "content").write_bytes(b"a" * SECTOR + b"b" * SECTOR)
    prints = Fingerprints({"part": Stretch(2 * SECTOR, 6 * SECTOR)}, SECTOR)
    zero, old, new, both = bytes(SECTOR), b"o" * SECTOR, b"a" * SECTOR, b"b" * SECTOR
    prints.change(6 * SECTOR, zero, old)
    assert prints["part"] == 0, "that was behind it"
    prints.change(2 * SECTOR, zero, old)
    prints.change(3 * SECTOR, zero, both)
    assert prints["part"] != filled(tmp_path / "base", 2 * SECTOR, tmp_path / "content", SECTOR)
    prints.change(2 * SECTOR, old, new)
    assert prints["part"] == filled(tmp_path / "base", 2 * SECTOR, tmp_path / "content", SECTOR)


def test_a_sparse_copy_is_the_stretch_and_keeps_its_holes(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("wb") as file:
        file.truncate(64 << 20)
        for place in (0, 10 << 20, (40 << 20) - 4096):
            file.seek(place)
            file.write(b"data" * 2048)
    sparse.copy(source, target, 8 << 20, 32 << 20)
    assert target.read_bytes() == source.read_bytes()[8 << 20 : 40 << 20]
    assert target.stat().st_blocks * 512 < 1 << 20
    sparse.copy(source, target)
    assert target.stat().st_size == 64 << 20


# The recording


def test_a_recorder_notes_how_far_the_disk_had_come_at_each_word(tmp_path: Path) -> None:
    recorder, log = Recorder(tmp_path), LogWriter().write(1, "a")
    (tmp_path / "writes.log").write_bytes(log.raw)
    recorder.hear("flipside: slot A ")
    recorder.hear("something else")
    (tmp_path / "writes.log").write_bytes(log.flush().raw)
    recorder.hear("[    9.1] flipside-agent[7]: flipside: idle")
    recorder.save()
    found = load(tmp_path / "base", tmp_path)
    assert found.marks == (Mark(1, "slot A "), Mark(2, "idle"))
    assert isinstance(found.log.raw, mmap.mmap)
    assert len(found.log.entries) == 2
