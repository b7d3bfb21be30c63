"""Pages that are overwritten in turn: which one goes, which ones stay, and what a tear costs."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from flipside_agent.errors import DeviceError, OperatorError
from flipside_agent.page import SIZE
from flipside_agent.pages import FilePages, Ring
from models.rights import longest_file, nobody

COUNT = 4


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "annals"


@pytest.fixture
def ring(path: Path) -> Ring:
    return Ring(FilePages(path, COUNT, "annals"), COUNT)


def _payloads(ring: Ring) -> list[int]:
    return [int(page.payload) for page in ring.newest_first()]


def _fill(ring: Ring, first: int, last: int) -> None:
    for number in range(first, last + 1):
        ring.write(1, b"%d" % number)


def test_the_newest_pages_stay_and_the_oldest_goes(ring: Ring) -> None:
    for number in range(1, 300):
        ring.write(1, b"%d" % number)
        assert _payloads(ring) == list(range(number, max(0, number - COUNT), -1))


def test_the_file_is_made_once_and_keeps_its_size(ring: Ring, path: Path) -> None:
    ring.write(1, b"1")
    made = path.stat()
    _fill(ring, 2, 3 * COUNT)
    assert (path.stat().st_ino, path.stat().st_size) == (made.st_ino, COUNT * SIZE)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("number", range(COUNT))
def test_a_flipped_bit_costs_one_page(ring: Ring, path: Path, number: int) -> None:
    _fill(ring, 1, 6)  # the pages now say 5, 6, 3, 4
    raw = bytearray(path.read_bytes())
    raw[number * SIZE + 40] ^= 1
    path.write_bytes(raw)
    lost = (5, 6, 3, 4)[number]
    assert _payloads(ring) == [each for each in (6, 5, 4, 3) if each != lost]


@pytest.mark.parametrize("number", range(COUNT))
def test_what_is_written_after_a_loss_is_the_newest(ring: Ring, path: Path, number: int) -> None:
    _fill(ring, 1, 6)
    raw = bytearray(path.read_bytes())
    raw[number * SIZE : (number + 1) * SIZE] = bytes(SIZE)
    path.write_bytes(raw)
    _fill(ring, 7, 9)
    assert _payloads(ring)[:3] == [9, 8, 7]


def test_a_torn_write_costs_only_the_page_that_it_was_to_replace(ring: Ring, path: Path) -> None:
    _fill(ring, 1, COUNT)
    before = path.read_bytes()
    ring.write(1, b"5")
    after = path.read_bytes()
    for at in range(1, SIZE, 7):
        path.write_bytes(after[:at] + before[at:])
        assert _payloads(ring) in ([5, 4, 3, 2], [4, 3, 2], [4, 3, 2, 1])
        ring.write(1, b"6")
        assert _payloads(ring)[0] == 6
        assert {4, 3} <= set(_payloads(ring))


@pytest.mark.parametrize("size", [0, 1, SIZE, SIZE + 7, COUNT * SIZE - 1])
def test_a_file_that_was_cut_short_is_filled_up(ring: Ring, path: Path, size: int) -> None:
    _fill(ring, 1, COUNT)
    path.write_bytes(path.read_bytes()[:size])
    whole = list(range(size // SIZE, 0, -1))
    assert _payloads(ring) == whole
    ring.write(1, b"9")
    assert _payloads(ring) == [9, *whole]
    assert path.stat().st_size == COUNT * SIZE


def test_once_it_is_made_a_write_needs_no_room(ring: Ring) -> None:
    ring.write(1, b"1")
    with longest_file(COUNT * SIZE):
        _fill(ring, 2, 2 * COUNT)
    assert _payloads(ring)[0] == 2 * COUNT


def test_no_room_to_make_it_is_told_and_mended_later(ring: Ring) -> None:
    with longest_file(SIZE + 100), pytest.raises(DeviceError, match="cannot write the annals"):
        ring.write(1, b"1")
    assert _payloads(ring) == []
    ring.write(1, b"1")
    assert _payloads(ring) == [1]


def test_somebody_elses_file_is_told_with_who_asked() -> None:
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        path = Path(name) / "annals"
        ring = Ring(FilePages(path, COUNT, "annals"), COUNT)
        ring.write(1, b"1")
        expected = r"user \d+ has no permission to read the annals, expected root"
        with nobody(), pytest.raises(OperatorError, match=expected):
            ring.newest_first()
