"""The cache of what takes long to build."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import pytest

from flipside_qemu.cache import Cache, default_directory, key_of
from flipside_qemu.errors import HostError


def _write(place: Path) -> None:
    (place / "thing").write_text("built")


def _never(_: Path) -> None:
    raise AssertionError("built again")


def test_entry_is_built_once(tmp_path: Path) -> None:
    said: list[str] = []
    cache = Cache(tmp_path / "cache", said.append)
    place = cache.entry("thing", "1", 2, _write)
    assert (place / "thing").read_text() == "built"
    assert cache.entry("thing", "1", 2, _never) == place
    [sentence] = said
    assert re.fullmatch(r"thing is ready after \d+ s", sentence)


def test_failed_build_leaves_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path, lambda _: None)

    def fail(place: Path) -> None:
        _write(place)
        raise HostError("no network")

    with pytest.raises(HostError, match="no network"):
        cache.entry("thing", "1", 2, fail)
    assert [path.name for path in tmp_path.iterdir()] == [".thing.lock"]


def test_killed_build_is_not_taken_for_an_entry(tmp_path: Path) -> None:
    left_over = tmp_path / ".thing-1.partial"
    left_over.mkdir()
    (left_over / "half").touch()
    place = Cache(tmp_path, lambda _: None).entry("thing", "1", 2, _write)
    assert [path.name for path in place.iterdir()] == ["thing"]


def test_full_disk_is_one_sentence(tmp_path: Path) -> None:
    def fail(_: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(HostError, match=r"thing-1: No space left on device, expected"):
        Cache(tmp_path, lambda _: None).entry("thing", "1", 2, fail)


def test_entries_that_were_not_used_for_longest_go(tmp_path: Path) -> None:
    cache = Cache(tmp_path, lambda _: None)
    for age, key in enumerate("abc"):
        place = cache.entry("thing", key, 3, _write)
        os.utime(place, (1000 + age, 1000 + age))
    cache.entry("thing", "a", 3, _never)
    cache.entry("thing", "d", 3, _write)
    assert sorted(path.name for path in tmp_path.glob("thing-*")) == [
        "thing-a",
        "thing-c",
        "thing-d",
    ]


def test_entries_of_other_kinds_stay(tmp_path: Path) -> None:
    cache = Cache(tmp_path, lambda _: None)
    cache.entry("rootfs-trixie", "a", 1, _write)
    cache.entry("rootfs", "b", 1, _write)
    cache.entry("rootfs", "c", 1, _write)
    assert sorted(path.name for path in tmp_path.glob("rootfs*")) == ["rootfs-c", "rootfs-trixie-a"]


def test_second_builder_waits_for_the_first(tmp_path: Path) -> None:
    waiting, begun, go_on = threading.Event(), threading.Event(), threading.Event()

    def slowly(place: Path) -> None:
        begun.set()
        assert go_on.wait(10)
        _write(place)

    def second_says(line: str) -> None:
        assert "another run is building the thing" in line
        waiting.set()

    first = threading.Thread(
        target=Cache(tmp_path, lambda _: None).entry, args=("thing", "1", 2, slowly)
    )
    second = threading.Thread(
        target=Cache(tmp_path, second_says).entry, args=("thing", "1", 2, _never)
    )
    first.start()
    assert begun.wait(10)
    second.start()
    assert waiting.wait(10)
    go_on.set()
    first.join()
    second.join()
    assert (tmp_path / "thing-1" / "thing").exists()


def test_key_tells_where_one_ingredient_ends() -> None:
    assert key_of("ab", "c") != key_of("a", "bc")
    assert key_of("ab") == key_of(b"ab")


def test_default_directory_follows_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert default_directory() == Path("/elsewhere/flipside")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/ada")
    assert default_directory() == Path("/home/ada/.cache/flipside")
