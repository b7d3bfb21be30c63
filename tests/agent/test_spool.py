"""The spool: what it holds survives restarts and cuts, and no more than what it holds."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flipside_agent import spoolmap
from flipside_agent.errors import DeviceError
from flipside_agent.ranges import Range, Ranges, add, total
from flipside_agent.spool import FLUSHED_EVERY, Spool, SpoolFolder
from flipside_agent.window import CAPACITY, Window

KEY, OTHER = "a1" * 32, "b2" * 32
MIB = 1 << 20
CONTENT = random.Random(1).randbytes(4 * MIB)


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> SpoolFolder:
    return SpoolFolder(tmp_path / "spool", reserve=0)


def _open(folder: SpoolFolder, key: str = KEY, size: int = len(CONTENT)) -> Spool:
    spool = folder.open(key, size)
    assert spool is not None
    return spool


def _fill(spool: Spool, *ranges: Range) -> None:
    for one in ranges:
        middle = (one.start + one.stop) // 2
        spool.write(one.start, [CONTENT[one.start : middle], CONTENT[middle : one.stop]])


def test_what_was_written_is_read_and_held(folder: SpoolFolder) -> None:
    spool = _open(folder)
    _fill(spool, Range(0, 100), Range(MIB, 2 * MIB))
    assert spool.held == (Range(0, 100), Range(MIB, 2 * MIB))
    assert spool.read(Range(10, 90)) == CONTENT[10:90]
    assert spool.read(Range(MIB, 2 * MIB)) == CONTENT[MIB : 2 * MIB]
    spool.close()


def test_a_closed_spool_is_resumed(folder: SpoolFolder) -> None:
    spool = _open(folder)
    _fill(spool, Range(0, 100), Range(MIB, 2 * MIB))
    spool.close()
    again = _open(folder)
    assert again.held == (Range(0, 100), Range(MIB, 2 * MIB))
    assert again.read(Range(MIB, 2 * MIB)) == CONTENT[MIB : 2 * MIB]
    again.close()


def test_a_resumed_spool_goes_on(folder: SpoolFolder) -> None:
    for at in range(5):
        spool = _open(folder)
        assert spool.held == ((Range(0, at * 1000),) if at else ())
        _fill(spool, Range(at * 1000, at * 1000 + 1000))
        spool.close()


def test_a_killed_agent_loses_no_more_than_what_was_not_mapped(folder: SpoolFolder) -> None:
    spool = _open(folder, size=100 * MIB)
    block = bytes(MIB)
    for number in range(FLUSHED_EVERY // MIB + 3):
        spool.write(number * MIB, [block])
        spool.settle()
    again = _open(folder, size=100 * MIB)  # the first one was never closed
    assert again.held == (Range(0, FLUSHED_EVERY),)
    again.close()
    spool.close()


def test_nothing_is_mapped_before_it_is_flushed(
    folder: SpoolFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = _open(folder)
    _fill(spool, Range(0, MIB))
    done: list[str] = []
    names = {(folder.path / name).stat().st_ino: name for name in ("bundle", "bundle.map")}

    def noted(verb: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(descriptor: int, *more: object) -> Any:
            done.append(f"{verb} {names[os.fstat(descriptor).st_ino]}")
            return real(descriptor, *more)

        return call

    for verb in ("fdatasync", "write"):
        monkeypatch.setattr(os, verb, noted(verb, getattr(os, verb)))
    spool.close()
    assert done == ["fdatasync bundle", "write bundle.map", "fdatasync bundle.map"]


def test_a_spool_of_another_bundle_is_thrown_out(folder: SpoolFolder) -> None:
    spool = _open(folder)
    _fill(spool, Range(0, MIB))
    spool.close()
    other = _open(folder, key=OTHER)
    assert other.held == ()
    other.close()
    assert (folder.path / "bundle").stat().st_size == 0
    assert _open(folder).held == ()


def test_the_same_key_with_another_size_is_another_bundle(folder: SpoolFolder) -> None:
    spool = _open(folder)
    _fill(spool, Range(0, MIB))
    spool.close()
    assert _open(folder, size=len(CONTENT) + 1).held == ()


def test_no_room_is_no_spool(folder: SpoolFolder) -> None:
    free = os.statvfs(folder.path.parent)
    room = free.f_bavail * free.f_frsize
    assert SpoolFolder(folder.path, reserve=room).open(KEY, 64 * MIB) is None
    assert folder.open(KEY, 1 << 45) is None


def test_what_is_held_needs_no_room(folder: SpoolFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = _open(folder)
    _fill(spool, Range(0, len(CONTENT) - 10))
    spool.close()
    real = os.fstatvfs(0)
    full = os.statvfs_result([*real[:4], 0, *real[5:]])
    monkeypatch.setattr(os, "fstatvfs", lambda _: full)
    assert folder.open(KEY, len(CONTENT)) is None
    spool = _open(SpoolFolder(folder.path, reserve=-4096))
    assert total(spool.held) == len(CONTENT) - 10
    spool.close()


def test_dropped_is_gone(folder: SpoolFolder) -> None:
    folder.drop()  # nothing there yet
    spool = _open(folder)
    _fill(spool, Range(0, MIB))
    spool.close()
    folder.drop()
    assert list(folder.path.iterdir()) == []
    assert _open(folder).held == ()


def test_others_cannot_read_it(folder: SpoolFolder) -> None:
    _open(folder).close()
    assert folder.path.stat().st_mode & 0o077 == 0
    assert (folder.path / "bundle").stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_made_is_the_devices_fault(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DeviceError, match="the spool cannot be opened: Not a directory"):
        SpoolFolder(tmp_path / "file" / "spool", 0).open(KEY, 1)


def test_a_link_is_not_followed(folder: SpoolFolder, tmp_path: Path) -> None:
    folder.path.mkdir()
    (folder.path / "bundle").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DeviceError, match="cannot be opened"):
        folder.open(KEY, 1)
    assert not (tmp_path / "elsewhere").exists()


def test_data_that_went_missing_is_the_devices_fault(folder: SpoolFolder) -> None:
    spool = _open(folder)
    _fill(spool, Range(0, MIB))
    os.truncate(folder.path / "bundle", 1000)
    with pytest.raises(DeviceError, match="ends before byte"):
        spool.read(Range(500, 1500))
    spool.close()


def test_a_full_disk_is_the_devices_fault(
    folder: SpoolFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = _open(folder)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwritev", full)
    with pytest.raises(DeviceError, match="cannot be written: No space left on device"):
        spool.write(0, [b"x"])
    assert spool.held == ()
    monkeypatch.undo()
    spool.close()


RANGES = st.lists(
    st.tuples(st.integers(0, 999), st.integers(1, 100)).map(
        lambda pair: Range(pair[0], min(1000, pair[0] + pair[1]))
    ),
    max_size=8,
)


def _mapped(ranges: list[Range]) -> bytes:
    return spoolmap.header(KEY, 1000) + b"".join(map(spoolmap.record, ranges))


def _union(ranges: list[Range]) -> Ranges:
    held: Ranges = ()
    for one in ranges:
        held = add(held, one)
    return held


@settings(deadline=None)
@given(RANGES)
def test_a_map_says_what_was_put_on_it(ranges: list[Range]) -> None:
    raw = _mapped(ranges)
    assert spoolmap.held_in(raw, KEY, 1000) == (_union(ranges), len(raw))


@settings(deadline=None)
@given(RANGES, st.integers(0, 300))
def test_a_torn_map_holds_what_was_whole(ranges: list[Range], cut: int) -> None:
    raw = _mapped(ranges)
    raw = raw[: max(0, len(raw) - cut)]
    held, sound = spoolmap.held_in(raw, KEY, 1000)
    left = (len(raw) - spoolmap.HEADER_BYTES) // spoolmap.RECORD_BYTES
    assert held == _union(ranges[: max(0, left)])
    assert sound in (0, spoolmap.HEADER_BYTES + len(ranges[: max(0, left)]) * spoolmap.RECORD_BYTES)


@settings(deadline=None)
@given(RANGES.filter(bool), st.data())
def test_a_spoiled_byte_never_makes_it_hold_more(ranges: list[Range], data: st.DataObject) -> None:
    raw = bytearray(_mapped(ranges))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    held, _ = spoolmap.held_in(bytes(raw), KEY, 1000)
    assert set(_each(held)) < set(_each(_union(ranges))) or held == _union(ranges[:-1])


def _each(held: Ranges) -> list[int]:
    return [at for one in held for at in range(one.start, one.stop)]


@pytest.mark.parametrize("raw", [b"", b"x" * 500, spoolmap.header(OTHER, 1000)])
def test_no_map_or_a_foreign_one_holds_nothing(raw: bytes) -> None:
    assert spoolmap.held_in(raw, KEY, 1000) == ((), 0)


def test_a_torn_end_is_cut_off_so_that_later_records_count(folder: SpoolFolder) -> None:
    spool = _open(folder)
    _fill(spool, Range(0, 1000), Range(2000, 3000))
    spool.close()
    map_ = folder.path / "bundle.map"
    os.truncate(map_, map_.stat().st_size - 3)
    spool = _open(folder)
    assert spool.held == (Range(0, 1000),)
    _fill(spool, Range(5000, 6000))
    spool.close()
    assert _open(folder).held == (Range(0, 1000), Range(5000, 6000))


def test_a_window_forgets_the_oldest() -> None:
    window = Window()
    pieces = [bytes([n]) * MIB for n in range(6)]
    for number, piece in enumerate(pieces):
        window.write(number * MIB, [piece])
    assert window.held == (Range(2 * MIB, 6 * MIB),)
    assert total(window.held) == CAPACITY
    assert window.read(Range(3 * MIB - 2, 3 * MIB + 2)) == b"\x02\x02\x03\x03"


def test_a_piece_written_again_replaces_itself() -> None:
    window = Window()
    for piece in (b"old!", b"newer"):
        window.write(10, [piece[:1], piece[1:]])
    assert window.held == (Range(10, 15),)
    assert window.read(Range(11, 15)) == b"ewer"
