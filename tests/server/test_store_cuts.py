"""The real store's writes, flushes and renames, recorded, and cut at every point."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flipside_server import log_file, log_storage
from flipside_server.action import Action, Kind, State, Status
from flipside_server.log_line import framed
from flipside_server.log_storage import LogStorage
from flipside_server.tiny_store import TinyStore
from models.recorded_disk import RecordedDisk, Tree, laid_out

SEED = 20261123
LOG = "records.log"


@pytest.fixture
def busy_house(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compaction, index and growth happen every few writes."""
    monkeypatch.setattr(log_storage, "_SLACK", 3)
    monkeypatch.setattr(log_storage, "_STEP", 8)
    monkeypatch.setattr(log_file, "_GROWTH", 3000)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir()
    return path


def work(store: TinyStore, disk: RecordedDisk, target: int, times: int) -> None:
    """One device's actions, reported again and again; each answer is a promise."""
    for turn in range(times):
        key = target * 100 + turn % 3
        with store.exclusive():
            entries = store.count(Status, "action", key)
            state = State.ERROR if turn % 2 else State.OPEN
            text = "x" * (turn * 211 % 1500)
            old = store.find(Status, "action", key)[:1] if entries > 2 else []
            entry = Status(store.new_id(Status), key, Kind.RUNNING, turn, (text,))
            store.save(Action(key, target, turn, state), entry, without=old)
        disk.say(f"{key} {turn} {entry.id}")


def recorded(data: Path, threads: int = 3, times: int = 30) -> RecordedDisk:
    disk = RecordedDisk(data)
    with disk.recording():
        store = TinyStore.open(data / LOG)
        workers = [
            threading.Thread(target=work, args=(store, disk, target, times))
            for target in range(1, threads + 1)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        store.close()
    return disk


def check(path: Path, promised: list[str], where: str) -> None:
    """Everything that was promised is there, and what counts together is there together."""
    store = TinyStore.open(path / LOG)
    entries = {entry.id: entry for entry in store.all(Status)}
    newest: dict[int, int] = {}
    for promise in promised:
        key, turn, entry = map(int, promise.split())
        newest[key] = max(turn, newest.get(key, 0))
        assert store.new_id(Status) > entry, where
    for key, turn in newest.items():
        action = store.get(Action, key)
        assert action is not None, where
        assert action.distribution_set >= turn, where
    for action in store.all(Action):
        told = [entry.reported for entry in entries.values() if entry.action == action.id]
        assert max(told) == action.distribution_set, where
        assert len(told) == store.count(Status, "action", action.id), where
    store.close()


def quick(disk: RecordedDisk, chances: int, every: int) -> Iterator[tuple[list[str], Tree, str]]:
    for number, cut in enumerate(disk.cuts(SEED, chances)):
        if number % every == 0:
            yield cut


@pytest.mark.parametrize("every", [17, pytest.param(1, marks=pytest.mark.slow)])
def test_no_cut_loses_what_was_acknowledged(
    data: Path, tmp_path: Path, busy_house: None, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    # Enough of them for a busy machine, too, whose compaction comes late.
    disk = recorded(data, times=60)
    rewritten = [one for one in disk.asked if one.names == (f"{LOG}.new", LOG)]
    assert len(rewritten) > 2, "nothing was compacted"
    monkeypatch.setattr("os.fsync", lambda _: None)
    monkeypatch.setattr("os.fdatasync", lambda _: None)
    for promised, tree, where in quick(disk, chances=4, every=every):
        check(laid_out(tree, tmp_path / "cut"), promised, where)


def test_a_cut_while_the_store_is_opened_after_a_cut(
    data: Path, tmp_path: Path, busy_house: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = recorded(data, threads=2, times=5)
    monkeypatch.setattr("os.fsync", lambda _: None)
    monkeypatch.setattr("os.fdatasync", lambda _: None)
    for promised, tree, where in quick(disk, chances=2, every=43):
        again = RecordedDisk(laid_out(tree, tmp_path / "first"))
        with again.recording():
            store = TinyStore.open(again.path / LOG)
            work(store, again, 9, 2)
            store.close()
        for more, second, then in again.cuts(SEED, 1):
            check(laid_out(second, tmp_path / "second"), promised + more, f"{where}; {then}")


def test_no_cut_of_a_migration_loses_anything(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [[["t", str(key), {"n": key, "pad": "x" * 300}]] for key in range(1, 20)]
    (data / LOG).write_bytes(b"".join(framed(one) for one in [{"flipside-server": 1}, *rows]))
    disk = RecordedDisk(data)
    with disk.recording():
        LogStorage.open(data / LOG).close()
    monkeypatch.setattr("os.fsync", lambda _: None)
    for _, tree, where in disk.cuts(SEED, 4):
        storage = LogStorage.open(laid_out(tree, tmp_path / "cut") / LOG)
        assert {row["n"] for row in storage.read()["t"].values()} == set(range(1, 20)), where
        storage.close()
