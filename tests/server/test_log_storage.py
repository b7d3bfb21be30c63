"""The storage under kill -9, cuts, full disks, and files that it did not write."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tinydb import TinyDB, where

from flipside_server import log_storage
from flipside_server.errors import StorageError, StorageFullError
from flipside_server.log_line import Change, framed
from flipside_server.log_storage import LogStorage

HERE = Path(log_storage.__file__).parent.parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.log"


def put(storage: LogStorage, changes: list[Change]) -> None:
    storage.append(changes)
    storage.settle(storage.mark())


def write(path: Path, *texts: str) -> None:
    storage = LogStorage.open(path)
    for number, text in enumerate(texts, start=1):
        put(storage, [("t", number, {"text": text})])
    storage.close()


def write_and_die(path: Path, *texts: str) -> bytes:
    """As write, but killed afterwards: no index is left, and the room that was taken ahead is."""
    storage = LogStorage.open(path)
    for number, text in enumerate(texts, start=1):
        put(storage, [("t", number, {"text": text})])
    die(storage)
    return path.read_bytes().rstrip(b"\0")


def die(storage: LogStorage) -> None:
    os.close(storage._log.extent.file)


def read(path: Path) -> dict[str, dict[str, Any]]:
    storage = LogStorage.open(path)
    try:
        return {table: dict(rows) for table, rows in storage.read().items()}
    finally:
        storage.close()


def test_what_was_written_is_there_again(path: Path) -> None:
    write(path, "one", "two \n lines", "ü \ud800")
    assert [one["text"] for one in read(path)["t"].values()] == ["one", "two \n lines", "ü \ud800"]


def test_a_write_torn_at_any_byte_is_dropped_and_the_rest_kept(path: Path) -> None:
    before = write_and_die(path, "one", "two")
    storage = LogStorage.open(path)
    put(storage, [("t", 3, {"text": "three, the last"}), ("u", 1, {"text": "and more"})])
    die(storage)
    after = path.read_bytes().rstrip(b"\0").removeprefix(before)
    for cut in range(len(after)):
        path.write_bytes(before + after[:cut])
        path.with_suffix(".index").unlink(missing_ok=True)
        assert list(read(path)) == ["t"]
        assert path.read_bytes() == before
        assert write_and_die(path, "again").startswith(before)
        assert [one["text"] for one in read(path)["t"].values()] == ["again", "two"]


@pytest.mark.parametrize(
    "tail", [b"\0" * 900, b"garbage", b"00000000 []\n", b"\0\0\n\0\0\n", b"\n", framed("odd")]
)
def test_a_torn_write_may_be_anything(path: Path, tail: bytes) -> None:
    whole = write_and_die(path, "one")
    path.write_bytes(whole + tail)
    assert read(path)["t"] == {"1": {"text": "one"}}
    assert path.read_bytes() == whole


def test_of_writes_that_were_torn_together_the_later_may_be_whole(path: Path) -> None:
    storage = LogStorage.open(path)
    put(storage, [("t", 1, {"text": "flushed"})])
    begin = storage._log.extent.size
    storage.append([("t", 2, {"text": "torn"})])
    end = storage._log.extent.size
    storage.append([("t", 3, {"text": "whole"})])
    die(storage)
    whole = path.read_bytes()
    path.write_bytes(whole[:begin] + b"\0" * (end - begin) + whole[end:])
    assert list(read(path)["t"]) == ["1"]
    assert path.stat().st_size == begin


def test_a_dropped_write_is_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = write_and_die(path, "one")
    read(path)
    assert not caplog.records
    path.write_bytes(whole + b"torn")
    with caplog.at_level(logging.WARNING):
        read(path)
    assert "torn" in caplog.text


@pytest.mark.parametrize("indexed", [False, True])
def test_a_flipped_bit_in_the_middle_is_refused_and_nothing_lost(path: Path, indexed: bool) -> None:
    whole = write_and_die(path, "one", "two")
    if indexed:
        read(path)
    header = whole.index(b"\n") + 1
    second = whole.index(b"\n", header) + 1
    assert second < len(whole)
    for place in range(header, second):
        damaged = bytearray(whole)
        damaged[place] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(StorageError, match=rf"damaged at byte {header}.*backup"):
            LogStorage.open(path)
        assert path.read_bytes() == damaged


def test_with_an_index_damage_to_the_last_line_is_no_torn_write(path: Path) -> None:
    write(path, "one", "two")
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for damaged in [whole[:last], whole[:-4], whole[:-4] + b"x" + whole[-3:]]:
        path.write_bytes(damaged)
        with pytest.raises(StorageError, match=rf"damaged at byte {last}"):
            LogStorage.open(path)
        assert path.read_bytes() == damaged


@pytest.mark.parametrize(
    "damage", ["gone", "torn", "empty", "of another log", "of an older beginning"]
)
def test_without_a_good_index_the_log_is_read_line_by_line(path: Path, damage: str) -> None:
    index = path.with_suffix(".index")
    write(path, "one", "two")
    older = index.read_bytes()
    write(path, "new one")
    expected = read(path)
    match damage:
        case "gone":
            index.unlink()
        case "torn":
            index.write_bytes(index.read_bytes()[:-7])
        case "empty":
            index.write_bytes(b"")
        case "of another log":
            other = path.with_name("other.log")
            write(other, *"many")
            index.write_bytes(other.with_suffix(".index").read_bytes())
        case _:
            index.write_bytes(older)
    assert read(path) == expected
    assert [one["text"] for one in expected["t"].values()] == ["new one", "two"]


@pytest.mark.parametrize("content", [b"", b"{}", b"\0" * 10, b"hello\n", b'{"_default": {}}\n'])
def test_a_foreign_file_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StorageError, match="is not a store of flipside-server"):
        LogStorage.open(path)
    assert path.read_bytes() == content


def test_a_newer_schema_is_refused(path: Path) -> None:
    content = framed({"flipside-server": 3})
    path.write_bytes(content)
    with pytest.raises(StorageError, match="schema 3, this server reads up to 2"):
        LogStorage.open(path)
    assert path.read_bytes() == content


def test_a_store_of_schema_1_is_brought_up_to_date(path: Path) -> None:
    # Written as the first release did: ids are strings, and each line was flushed before the next.
    lines: list[Any] = [
        {"flipside-server": 1},
        [["targets", "1", {"id": 1, "controller_id": "a"}], ["ids", "1", {"targets": 1}]],
        [["targets", "2", {"id": 2, "controller_id": "b"}], ["ids", "1", {"targets": 2}]],
        [["targets", "1", {"id": 1, "controller_id": "a", "installed": 7}]],
        [["ids", "1", {"targets": 9}]],
    ]
    older = b"".join(framed(line) for line in lines)
    path.write_bytes(older + b"torn")
    for _ in range(2):
        storage = LogStorage.open(path, {"targets": ("controller_id",)})
        rows = storage.read()["targets"]
        assert rows["1"] == {"id": 1, "controller_id": "a", "installed": 7}
        assert list(storage.found("targets", "controller_id", "b")) == [2]
        assert (len(rows), storage.last_id("targets")) == (2, 9)
        storage.close()
    assert path.with_name(path.name + ".schema-1").read_bytes() == older
    assert b'{"flipside-server":2' in path.read_bytes().splitlines()[0]


def test_a_store_of_schema_1_is_not_touched_if_there_is_no_room(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = framed({"flipside-server": 1}) + framed([["t", "1", {"text": "one"}]])
    path.write_bytes(older)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.pwrite", full)
        with pytest.raises(StorageError, match="make room for as much again"):
            LogStorage.open(path)
    assert path.read_bytes() == older
    assert read(path)["t"] == {"1": {"text": "one"}}


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot open .*: No such file or directory"):
        LogStorage.open(tmp_path / "none" / "records.log")


def test_changes_of_one_write_count_together(path: Path) -> None:
    storage = LogStorage.open(path)
    put(storage, [("a", 1, {}), ("b", 1, {})])
    die(storage)
    path.write_bytes(path.read_bytes().rstrip(b"\0")[:-3])
    assert read(path) == {}


def busy(storage: LogStorage, times: int) -> None:
    """Write three changes so often; the storage keeps its house whenever it is due."""
    for number in range(times):
        put(storage, [("t", 2, {"n": number}), ("u", 1 + number, {"n": number})])
        put(storage, [("u", 1 + number, None)])
        if storage._keeper is not None:
            storage._keeper.join()


def test_an_outdated_file_is_rewritten_and_nothing_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_storage, "_SLACK", 50)
    monkeypatch.setattr(log_storage, "_STEP", 50)
    storage = LogStorage.open(path)
    put(storage, [("t", 1, {"n": 0})])
    busy(storage, 250)
    storage.close()
    assert path.read_bytes().count(b"\n") < 2 * 250
    assert read(path) == {"t": {"1": {"n": 0}, "2": {"n": 249}}}
    assert {one.name for one in path.parent.iterdir()} == {path.name, "records.index"}
    storage = LogStorage.open(path)
    assert storage.last_id("u") == 250
    storage.close()


def test_others_write_on_while_the_file_is_rewritten(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = LogStorage.open(path, {"t": ("n",)})
    for number in range(1, 101):
        storage.append([("t", number, {"n": number % 7})])
    flush = os.fsync

    def meanwhile(file: int) -> None:
        monkeypatch.setattr(os, "fsync", flush)
        flush(file)
        for number in range(50, 61):
            storage.append([("t", number, None)])
        put(storage, [("t", 200, {"n": 3}), ("t", 1, {"n": 1, "late": True})])

    monkeypatch.setattr(os, "fsync", meanwhile)
    before = path.stat().st_ino
    storage.compact()
    assert path.stat().st_ino != before
    expected = {key: {"n": key % 7} for key in range(1, 101) if not 50 <= key < 61}
    expected |= {200: {"n": 3}, 1: {"n": 1, "late": True}}
    put(storage, [("t", 201, {"n": 3})])
    expected[201] = {"n": 3}
    threes = [key for key, document in expected.items() if document["n"] == 3]
    for _ in range(2):
        assert {int(key): row for key, row in storage.read()["t"].items()} == expected
        assert list(storage.found("t", "n", 3)) == threes
        storage.close()
        storage = LogStorage.open(path, {"t": ("n",)})
    storage.close()


def test_rewrites_at_once_take_turns(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    storage = LogStorage.open(path)
    for number in range(1, 501):
        storage.append([("t", number, {"n": number})])
    at_once = [threading.Thread(target=storage.compact) for _ in range(4)]
    for one in at_once:
        one.start()
    for one in at_once:
        one.join()
    storage.close()
    assert caplog.text == ""
    assert read(path) == {"t": {str(number): {"n": number} for number in range(1, 501)}}


def test_a_rewrite_that_fails_costs_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    LogStorage.open(path).close()
    monkeypatch.setattr(log_storage, "_SLACK", 5)
    monkeypatch.setattr(log_storage, "_STEP", 5)
    path.with_name(path.name + ".new").mkdir()
    storage = LogStorage.open(path)
    busy(storage, 50)
    storage.close()
    assert "cannot rewrite" in caplog.text
    assert read(path) == {"t": {"2": {"n": 49}}}


def test_a_leftover_of_a_rewrite_is_in_nobodys_way(path: Path) -> None:
    write(path, "one")
    path.with_name(path.name + ".new").write_bytes(b"half a rewr")
    assert read(path)["t"] == {"1": {"text": "one"}}


def test_tinydbs_own_writes_are_durable_too(path: Path) -> None:
    storage = LogStorage.open(path)
    database = TinyDB(storage=lambda: storage)
    table = database.table("t")
    table.insert_multiple({"text": text} for text in ["by TinyDB", "gone", "changed"])
    put(storage, [("t", 4, {"text": "by us"})])
    table.remove(doc_ids=[2])
    table.update({"text": "by TinyDB again"}, where("text") == "changed")
    database.close()
    found = [one["text"] for one in read(path)["t"].values()]
    assert found == ["by TinyDB", "by TinyDB again", "by us"]


FULL = """
import resource, signal, sys
from pathlib import Path
from flipside_server.errors import StorageFullError
from flipside_server.log_storage import LogStorage
storage = LogStorage.open(Path(sys.argv[1]))
def put(storage, changes):
    storage.append(changes)
    storage.settle(storage.mark())
put(storage, [("t", 1, {"text": "fits"})])
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
try:
    put(storage, [("t", 2, {"text": "x" * 9000})])
except StorageFullError as error:
    print(error)
put(storage, [("t", 3, {"text": "fits again"})])
assert set(storage.read()["t"]) == {"1", "3"}
storage.close()
"""


def test_a_full_disk_is_told_and_costs_nothing(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(HERE)},
    )
    assert done.returncode == 0, done.stderr
    assert "cannot write to" in done.stdout
    assert "nothing was changed" in done.stdout
    assert set(read(path)["t"]) == {"1", "3"}


def test_after_a_failed_flush_nothing_more_is_acknowledged(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = LogStorage.open(path)
    put(storage, [("t", 1, {})])

    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        with pytest.raises(StorageError, match="cannot flush") as failed:
            put(storage, [("t", 2, {})])
        assert not isinstance(failed.value, StorageFullError)
    with pytest.raises(StorageError, match="restart the server"):
        put(storage, [("t", 3, {})])
    assert "3" not in read(path)["t"]


def test_every_write_is_flushed_before_it_is_acknowledged(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    flush = os.fdatasync
    storage = LogStorage.open(path)

    def watched(file: int) -> None:
        reach = storage._log.extent.size
        flush(file)
        flushed.append(reach)

    monkeypatch.setattr(os, "fdatasync", watched)
    for number in range(1, 6):
        put(storage, [("t", number, {})])
        assert flushed[-1] == storage._log.extent.size
    assert len(flushed) == 5


def test_threads_that_wait_share_a_flush(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = LogStorage.open(path)
    flushes: list[int] = []
    flush = os.fdatasync
    waiting = threading.Semaphore(0)

    def slow(file: int) -> None:
        flushes.append(file)
        if len(flushes) == 1:
            for _ in range(8):
                waiting.acquire()
        flush(file)

    def write_one(number: int) -> None:
        storage.append([("t", number, {})])
        mark = storage.mark()
        waiting.release()
        storage.settle(mark)

    monkeypatch.setattr(os, "fdatasync", slow)
    threads = [threading.Thread(target=write_one, args=(1 + number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The first flush ends when all have written; it speaks for those that wrote before it began.
    assert len(flushes) == 2
    die(storage)
    assert len(read(path)["t"]) == 8


def test_a_rewritten_file_is_flushed_before_and_its_name_after_the_rename(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    flush, rename = os.fsync, Path.replace

    def flushed(file: int) -> None:
        done.append("folder" if os.path.isdir(file) else "file")  # noqa: PTH112 - a descriptor
        flush(file)

    def renamed(old: Path, new: Path) -> Path:
        done.append("rename")
        return rename(old, new)

    storage = LogStorage.open(path)
    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "replace", renamed)
    storage.compact()
    assert done[-4:] == ["file", "file", "rename", "folder"]
