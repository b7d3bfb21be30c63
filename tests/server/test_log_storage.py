"""The storage under kill -9, cuts, full disks, and files that it did not write."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from tinydb import TinyDB

from flipside_server import log_storage
from flipside_server.errors import StorageError, StorageFullError
from flipside_server.log_storage import LogStorage, Tables

HERE = Path(log_storage.__file__).parent.parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.log"


def write(path: Path, *texts: str) -> None:
    storage = LogStorage.open(path)
    for number, text in enumerate(texts, start=1):
        storage.append([("t", str(number), {"text": text})])
    storage.close()


def read(path: Path) -> Tables:
    storage = LogStorage.open(path)
    try:
        return storage.read()
    finally:
        storage.close()


def test_what_was_written_is_there_again(path: Path) -> None:
    write(path, "one", "two \n lines", "ü \ud800")
    assert [one["text"] for one in read(path)["t"].values()] == ["one", "two \n lines", "ü \ud800"]


def test_a_write_torn_at_any_byte_is_dropped_and_the_rest_kept(path: Path) -> None:
    write(path, "one", "two")
    before = path.read_bytes()
    storage = LogStorage.open(path)
    storage.append([("t", "3", {"text": "three, the last"}), ("u", "1", {"text": "and more"})])
    storage.close()
    after = path.read_bytes().removeprefix(before)
    for cut in range(len(after)):
        path.write_bytes(before + after[:cut])
        assert list(read(path)) == ["t"]
        assert path.read_bytes() == before
        write(path, "again")
        assert [one["text"] for one in read(path)["t"].values()] == ["again", "two"]


@pytest.mark.parametrize(
    "tail", [b"\0" * 900, b"garbage", b"00000000 []\n", b"\0\0\n\0\0\n", b"\n"]
)
def test_a_torn_write_may_be_anything(path: Path, tail: bytes) -> None:
    write(path, "one")
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    assert read(path)["t"] == {"1": {"text": "one"}}
    assert path.read_bytes() == whole


def test_a_dropped_write_is_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(path, "one")
    read(path)
    assert not caplog.records
    path.write_bytes(path.read_bytes() + b"torn")
    with caplog.at_level(logging.WARNING):
        read(path)
    assert "torn" in caplog.text


def test_a_flipped_bit_in_the_middle_is_refused_and_nothing_lost(path: Path) -> None:
    write(path, "one", "two")
    whole = path.read_bytes()
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


@pytest.mark.parametrize("content", [b"", b"{}", b"\0" * 10, b"hello\n", b'{"_default": {}}\n'])
def test_a_foreign_file_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StorageError, match="is not a store of flipside-server"):
        LogStorage.open(path)
    assert path.read_bytes() == content


def test_a_newer_schema_is_refused(path: Path) -> None:
    text = b'{"flipside-server":2}'
    path.write_bytes(b"%08x %s\n" % (zlib.crc32(text), text))
    with pytest.raises(StorageError, match="schema 2, this server reads 1"):
        LogStorage.open(path)


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot open .*: No such file or directory"):
        LogStorage.open(tmp_path / "none" / "records.log")


def test_changes_of_one_write_count_together(path: Path) -> None:
    storage = LogStorage.open(path)
    storage.append([("a", "1", {}), ("b", "1", {})])
    storage.close()
    path.write_bytes(path.read_bytes()[:-3])
    assert read(path) == {}


def test_an_outdated_file_is_rewritten_and_nothing_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_storage, "_SLACK", 50)
    storage = LogStorage.open(path)
    storage.append([("t", "kept", {"n": 0})])
    sizes = []
    for number in range(250):
        storage.append([("t", "busy", {"n": number})])
        sizes.append(path.stat().st_size)
    assert max(sizes) < 60 * 40
    assert read(path) == {"t": {"kept": {"n": 0}, "busy": {"n": 249}}}
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_rewrite_that_fails_costs_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(log_storage, "_SLACK", 5)
    path.with_name(path.name + ".new").mkdir()
    path.write_bytes(log_storage._line(log_storage._HEADER))
    storage = LogStorage.open(path)
    for number in range(50):
        storage.append([("t", "busy", {"n": number})])
    assert "cannot rewrite" in caplog.text
    assert read(path) == {"t": {"busy": {"n": 49}}}


def test_a_leftover_of_a_rewrite_is_in_nobodys_way(path: Path) -> None:
    write(path, "one")
    path.with_name(path.name + ".new").write_bytes(b"half a rewr")
    assert read(path)["t"] == {"1": {"text": "one"}}


def test_tinydbs_own_writes_are_durable_too(path: Path) -> None:
    storage = LogStorage.open(path)
    database = TinyDB(storage=lambda: storage)
    database.table("t").insert({"text": "by TinyDB"})
    storage.append([("t", "2", {"text": "by us"})])
    database.close()
    assert [one["text"] for one in read(path)["t"].values()] == ["by TinyDB", "by us"]


FULL = """
import resource, signal, sys
from pathlib import Path
from flipside_server.errors import StorageFullError
from flipside_server.log_storage import LogStorage
storage = LogStorage.open(Path(sys.argv[1]))
storage.append([("t", "1", {"text": "fits"})])
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
try:
    storage.append([("t", "2", {"text": "x" * 9000})])
except StorageFullError as error:
    print(error)
assert Path(sys.argv[1]).stat().st_size < 100
storage.append([("t", "3", {"text": "fits again"})])
assert set(storage.read()["t"]) == {"1", "3"}
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
    storage.append([("t", "1", {})])

    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        with pytest.raises(StorageError, match="cannot flush") as failed:
            storage.append([("t", "2", {})])
        assert not isinstance(failed.value, StorageFullError)
    with pytest.raises(StorageError, match="restart the server"):
        storage.append([("t", "3", {})])
    assert "3" not in read(path)["t"]


def test_every_write_is_flushed_before_it_is_acknowledged(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    flush = os.fdatasync

    def watched(file: int) -> None:
        flush(file)
        flushed.append(os.fstat(file).st_size)

    monkeypatch.setattr(os, "fdatasync", watched)
    storage = LogStorage.open(path)
    for number in range(5):
        storage.append([("t", str(number), {})])
        assert flushed[-1] == path.stat().st_size
    assert len(flushed) == 5


def test_a_rewritten_file_is_flushed_before_and_its_name_after_the_rename(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LogStorage.open(path).close()
    done: list[str] = []
    flush, rename = os.fsync, Path.replace

    def flushed(file: int) -> None:
        done.append("folder" if os.path.isdir(file) else "file")  # noqa: PTH112 - a descriptor
        flush(file)

    def renamed(old: Path, new: Path) -> Path:
        done.append("rename")
        return rename(old, new)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "replace", renamed)
    storage = LogStorage.open(path)
    storage.write({"t": {"1": {}}})
    assert done == ["file", "rename", "folder"]


BUSY = """
import sys
from pathlib import Path
from flipside_server import log_storage
log_storage._SLACK = 100
storage = log_storage.LogStorage.open(Path(sys.argv[1]))
number = int(sys.argv[2])
while True:
    number += 1
    storage.append([("t", str(number % 200), {"n": number, "pad": "x" * (number % 700)})])
    print(number, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(path: Path) -> None:
    acknowledged = 0
    for round_ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", BUSY, str(path), str(acknowledged)],
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(HERE)},
        ) as writer:
            assert writer.stdout is not None
            for _ in range(130 + 37 * round_):
                acknowledged = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            for line in writer.stdout:
                if line.endswith("\n"):
                    acknowledged = int(line)
        numbers = {document["n"] for document in read(path)["t"].values()}
        newest = max(numbers)
        # The one write that was under way may be there or not.
        assert acknowledged <= newest <= acknowledged + 1
        assert numbers == set(range(max(1, newest - 199), newest + 1))
        acknowledged = newest
