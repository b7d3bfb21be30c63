"""Records by id and by index, and ids that are never given twice."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from flipside_server.action import Action, Kind, State, Status
from flipside_server.errors import StorageError
from flipside_server.store import Store
from flipside_server.target import Target
from flipside_server.tiny_store import TinyStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.log"


def test_records_are_found_by_id_and_by_index(path: Path) -> None:
    store = TinyStore.open(path)
    one, two = Target(1, "a", "t"), Target(2, "b", "t")
    store.save(one, two)
    store.save(Action(1, 1, 1), Action(2, 2, 1), Action(3, 1, 1))
    for again in [store, TinyStore.open(path)]:
        assert again.get(Target, 2) == two
        assert again.get(Target, 3) is None
        assert again.find(Target, "controller_id", "a") == [one]
        assert again.find(Target, "controller_id", "c") == []
        assert [action.id for action in again.find(Action, "target", 1)] == [1, 3]
        assert again.count(Action, "target", 1) == 2
        assert list(again.all(Target)) == [one, two]
        assert list(again.all(Status)) == []


def test_a_record_saved_again_is_replaced_not_doubled(path: Path) -> None:
    store = TinyStore.open(path)
    store.save(Action(1, 7, 1))
    store.save(Action(1, 7, 1, State.ERROR))
    for again in [store, TinyStore.open(path)]:
        assert again.find(Action, "target", 7) == [Action(1, 7, 1, State.ERROR)]


def test_ids_go_on_where_they_were(path: Path) -> None:
    store = TinyStore.open(path)
    for expected in [1, 2, 3]:
        key = store.new_id(Action)
        assert key == expected
        store.save(Action(key, 1, 1))
    assert store.new_id(Status) == 1
    assert TinyStore.open(path).new_id(Action) == 4


def test_ids_are_given_once_to_many_threads(path: Path) -> None:
    store = TinyStore.open(path)
    given: list[int] = []

    def take() -> None:
        given.extend(store.new_id(Action) for _ in range(200))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given) == list(range(1, 1601))


def test_readers_and_writers_at_once(path: Path) -> None:
    store = TinyStore.open(path)
    store.save(Action(1, 1, 1))
    stop = threading.Event()
    seen: list[int] = []

    def read() -> None:
        while not stop.is_set():
            found = len(store.find(Status, "action", 1))
            seen.append(found)
            assert len(list(store.all(Status))) >= found

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(80):
        store.save(Status(store.new_id(Status), 1, Kind.RUNNING, 0))
    stop.set()
    for reader in readers:
        reader.join()
    assert seen
    assert store.count(Status, "action", 1) == 80


def test_a_failed_save_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = TinyStore.open(path)
    store.save(Target(1, "a", "t"))

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.pwrite", full)
        with pytest.raises(StorageError, match="No space left"):
            store.save(Target(1, "a", "changed"), Target(2, "b", "t"))
    for again in [store, TinyStore.open(path)]:
        assert list(again.all(Target)) == [Target(1, "a", "t")]
        assert again.find(Target, "controller_id", "b") == []
    store.save(Target(2, "b", "t"))
    assert TinyStore.open(path).count(Target, "controller_id", "b") == 1


def test_it_is_a_store(path: Path) -> None:
    store: Store = TinyStore.open(path)
    with store.exclusive():
        store.save(Target(store.new_id(Target), "a", "t"))
