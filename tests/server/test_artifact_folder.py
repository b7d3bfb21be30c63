"""Artifacts by content: whole or not at all, in bounded memory."""

from __future__ import annotations

import hashlib
import io
import tracemalloc
from pathlib import Path

import pytest

from flipside_server.artifact_folder import ArtifactFolder, Download
from flipside_server.byte_range import Span
from flipside_server.errors import OperatorError, StorageError, StorageFullError


@pytest.fixture
def folder(tmp_path: Path) -> ArtifactFolder:
    made = ArtifactFolder(tmp_path / "artifacts")
    made.prepare()
    return made


def files(path: Path) -> list[str]:
    return sorted(one.name for one in path.rglob("*") if one.is_file())


class Endless(io.RawIOBase):
    """So many bytes out of nothing."""

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int = -1) -> bytes:
        block = b"x" * min(size, self._left)
        self._left -= len(block)
        return block


def test_a_file_is_kept_under_its_content(tmp_path: Path, folder: ArtifactFolder) -> None:
    content = b"firmware" * 1000
    digests = folder.keep(io.BytesIO(content), len(content))
    assert digests.size == len(content)
    assert digests.sha256 == hashlib.sha256(content).hexdigest()
    assert digests.sha1 == hashlib.sha1(content).hexdigest()
    assert digests.md5 == hashlib.md5(content).hexdigest()
    assert files(tmp_path) == [digests.sha256]
    assert folder.download(digests.sha256, Span(8, 16)) == b"firmware"


def test_the_same_content_is_kept_once(tmp_path: Path, folder: ArtifactFolder) -> None:
    for _ in range(2):
        folder.keep(io.BytesIO(b"same"), 4)
    assert len(files(tmp_path)) == 1


def test_a_large_file_is_never_in_memory(folder: ArtifactFolder) -> None:
    size = 48 << 20
    tracemalloc.start()
    digests = folder.keep(Endless(size), size)  # type: ignore[arg-type]  # read is all it needs
    download = folder.download(digests.sha256, Span(0, size))
    assert isinstance(download, Download)
    assert sum(len(block) for block in download) == size
    download.close()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize("announced", [3, 5])
def test_a_file_that_broke_off_is_not_kept(
    tmp_path: Path, folder: ArtifactFolder, announced: int
) -> None:
    with pytest.raises(OperatorError, match=f"broke off after 4 of {announced} bytes"):
        folder.keep(io.BytesIO(b"four"), announced)
    assert files(tmp_path) == []


def test_an_empty_file_is_refused(tmp_path: Path, folder: ArtifactFolder) -> None:
    with pytest.raises(OperatorError, match="empty"):
        folder.keep(io.BytesIO(), 0)
    assert files(tmp_path) == []


def test_a_full_disk_leaves_nothing(
    tmp_path: Path, folder: ArtifactFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageFullError, match="No space left"):
        folder.keep(io.BytesIO(b"four"), 4)
    assert files(tmp_path) == []


def test_what_a_cut_left_unfinished_is_thrown_away(tmp_path: Path, folder: ArtifactFolder) -> None:
    digests = folder.keep(io.BytesIO(b"whole"), 5)
    (tmp_path / "artifacts" / "incoming-abc").write_bytes(b"ha")
    folder.prepare()
    assert files(tmp_path) == [digests.sha256]


def test_an_artifact_that_shrank_is_told(tmp_path: Path, folder: ArtifactFolder) -> None:
    digests = folder.keep(io.BytesIO(b"whole"), 5)
    next((tmp_path / "artifacts").glob("*/*")).write_bytes(b"who")
    with pytest.raises(StorageError, match="ends at byte 3"):
        folder.download(digests.sha256, Span(0, 5))
