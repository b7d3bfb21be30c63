"""What a durable write costs at 100, 1,000 and 10,000 targets, and how long a start takes.

    python bench/store.py [--folder DIR]

Side by side with TinyDB's own JSONStorage, which writes its whole file and flushes nothing;
flushed, it would cost that on top. CPU time counts: a busy machine or disk only adds to wall time.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tinydb import TinyDB
from tinydb.table import Document

from flipside_server.action import Action, Kind, Status
from flipside_server.codec import encode
from flipside_server.index_file import index_path
from flipside_server.target import Target
from flipside_server.tiny_store import TinyStore

SIZES = (100, 1_000, 10_000)
WRITES = 200
THREADS = 16


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="on the disk that is to be measured")
    options = parser.parse_args()
    print("targets  what                         CPU ms   wall ms")
    for size in SIZES:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            _ours(Path(folder) / "records.log", size)
            _peer(Path(folder) / "db.json", size)


def _ours(path: Path, size: int) -> None:
    store = TinyStore.open(path)
    for key in range(1, size + 1):
        _fill(store, key)
    store.close()
    _told(size, "open, with index", 1, lambda: TinyStore.open(path))
    index_path(path).unlink()
    _told(size, "open, line by line", 1, lambda: TinyStore.open(path))
    store = TinyStore.open(path)
    _told(size, "one report at a time", WRITES, lambda: _reports(store, 0, WRITES))
    _told(size, f"{THREADS} reports at a time", WRITES * THREADS // 4, lambda: _crowd(store))
    store.close()


def _fill(store: TinyStore, key: int) -> None:
    attributes = {"board": "rpi4", "version": "1.0.2", "serial": f"{key:016x}"}
    target = Target(key, f"device-{key}", "sha256:" + os.urandom(32).hex(), attributes=attributes)
    told = [Status(key * 5 + one, key, Kind.RUNNING, key, ("so far",)) for one in range(5)]
    # Not flushed one by one, so that filling takes seconds and not minutes.
    store._storage.append(
        [
            ("targets", key, encode(target)),
            ("actions", key, encode(Action(key, key, 1))),
            *(("statuses", one.id, encode(one)) for one in told),
        ]
    )


def _reports(store: TinyStore, first: int, count: int) -> None:
    for key in range(first + 1, first + count + 1):
        with store.exclusive():
            action = store.get(Action, 1 + key % 100)
            assert action is not None
            entry = Status(store.new_id(Status), action.id, Kind.RUNNING, key, ("halfway",))
            store.save(replace(action, retrieved=True), entry)


def _crowd(store: TinyStore) -> None:
    threads = [
        threading.Thread(target=_reports, args=(store, number, WRITES // 4))
        for number in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _peer(path: Path, size: int) -> None:
    documents = {
        str(key): encode(Target(key, f"device-{key}", "sha256:" + "0" * 64))
        for key in range(1, size + 1)
    }
    with TinyDB(path) as database:
        database.storage.write({"targets": documents})
        table = database.table("targets")

        def write() -> None:
            for key in range(1, 6):
                table.upsert(Document({"installed": key}, doc_id=key))

        _told(size, "JSONStorage, not flushed", 5, write)


def _told(size: int, what: str, times: int, work: Callable[[], object]) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{size:7d}  {what:27s} {1000 * cpu / times:7.3f}   {1000 * wall / times:7.2f}")


if __name__ == "__main__":
    main()
