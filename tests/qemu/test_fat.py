"""The reader of FAT file systems, on ones that mkfs.fat and mtools have made."""

from __future__ import annotations

from pathlib import Path

import pytest

from flipside_qemu import fat, filesystem
from flipside_qemu.esp import SERIAL, SIZE
from flipside_qemu.workbench import Workbench

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]

ENTRY = "loader/entries/flipside-2-a+9-1.conf"
SHORT = b"FLIPSI~1CON"
"""What is in its directory for it, behind two pieces of its long name."""
FILES = {
    "boot.env": b"short and of one cluster",
    ENTRY: b"title A",
    "loader/entries/a name of Länge that takes four pieces and more.conf": b"title B",
    "flipside/a/vmlinuz": bytes(range(256)) * 300,
}


@pytest.fixture
def partition(bench: Workbench, tmp_path: Path) -> bytearray:
    """A partition with these files."""
    content, image = tmp_path / "content", tmp_path / "esp.img"
    for name, data in FILES.items():
        (content / name).parent.mkdir(parents=True, exist_ok=True)
        (content / name).write_bytes(data)
    filesystem.make_fat(bench.toolbox, image, SIZE, SERIAL, content)
    return bytearray(image.read_bytes())


def read(partition: bytearray) -> dict[str, bytes]:
    return fat.opened(lambda place, length: bytes(partition[place : place + length])).files()


def test_files_are_found_by_their_long_names(partition: bytearray) -> None:
    assert read(partition) == {name.lower(): data for name, data in FILES.items()}


@pytest.mark.parametrize(
    ("byte", "value"),
    [
        pytest.param(0, 0x01, id="the last piece is not marked"),
        pytest.param(0, 0x43, id="a piece is missing"),
        pytest.param(0, 0xE5, id="a piece was removed"),
        pytest.param(13, 0x00, id="it belongs to another name"),
    ],
)
def test_a_long_name_that_is_not_whole_leaves_the_short_one(
    partition: bytearray, byte: int, value: int
) -> None:
    last_piece = partition.index(SHORT) - 2 * 32
    assert partition[last_piece] == 0x42
    partition[last_piece + byte] = value
    found = set(read(partition))
    assert ENTRY not in found
    assert "loader/entries/flipsi~1.con" in found


def test_a_file_that_was_removed_is_gone_with_its_long_name(partition: bytearray) -> None:
    partition[partition.index(SHORT)] = 0xE5
    assert set(read(partition)) == {name.lower() for name in FILES} - {ENTRY}
