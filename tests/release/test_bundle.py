"""The `flipside bundle` command, as far as no RAUC is needed to judge it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from flipside_release.cli import main
from flipside_release.inspection import inspect


@pytest.fixture
def arguments(tmp_path: Path, image: Path, keys: Path) -> list[str]:
    return [
        *("bundle", str(image), "--output", str(tmp_path / "v2.raucb"), "--keys", str(keys)),
        *("--compatible", "test-board", "--version", "2"),
    ]


def refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, status: int = 2
) -> str:
    """The one line that the command says, having left nothing behind."""
    before = sorted(tmp_path.rglob("*"))
    assert main(arguments) == status
    assert sorted(tmp_path.rglob("*")) == before
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_json_and_text_tell_the_same_hash(
    arguments: list[str], image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["bundle"] == str(tmp_path / "v2.raucb")
    assert record["size"] == (tmp_path / "v2.raucb").stat().st_size
    assert record["images"] == [
        {
            "slot_class": "rootfs",
            "filename": "rootfs.ext4",
            "sha256": hashlib.sha256(image.read_bytes()).hexdigest(),
            "size": image.stat().st_size,
        }
    ]
    assert main(["inspect", record["bundle"]]) == 0
    assert f"manifest hash  {record['manifest_hash']}\n" in capsys.readouterr().out


def test_the_same_image_has_the_same_hash(
    arguments: list[str], image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the image is called, whenever it was made, whoever packs it and where."""
    assert main(arguments) == 0
    one = inspect(tmp_path / "v2.raucb", payload=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    copy = shutil.copy(image, elsewhere / "other name.ext4")
    os.utime(copy, (1, 1))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    arguments[1] = str(copy)
    arguments[3] = str(elsewhere / "b.raucb")
    previous = os.umask(0o077)
    try:
        assert main(arguments) == 0
    finally:
        os.umask(previous)
    other = inspect(elsewhere / "b.raucb", payload=True)
    assert one == other
    size = one.layout.cms_offset
    first, second = (tmp_path / "v2.raucb").read_bytes(), (elsewhere / "b.raucb").read_bytes()
    assert first[:size] == second[:size]


@pytest.mark.parametrize(
    "change", [("--version", "3"), ("--compatible", "x"), ("--description", "d")]
)
def test_other_words_give_another_hash_and_salt(
    arguments: list[str], tmp_path: Path, change: tuple[str, str]
) -> None:
    assert main(arguments) == 0
    one = inspect(tmp_path / "v2.raucb", payload=False)
    assert main([*arguments, *change, "--overwrite"]) == 0
    other = inspect(tmp_path / "v2.raucb", payload=False)
    assert one.hash != other.hash
    assert one.manifest.verity != other.manifest.verity


def test_the_bundle_is_for_others_to_read_and_stands_alone(
    arguments: list[str], tmp_path: Path
) -> None:
    assert main(arguments) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["v2.raucb"]
    mode = stat.S_IMODE((tmp_path / "v2.raucb").stat().st_mode)
    assert mode == 0o644  # RAUC refuses one that others may write


def test_the_default_output_lies_beside_the_image(
    arguments: list[str], image: Path, tmp_path: Path
) -> None:
    arguments[1] = str(shutil.copy(image, tmp_path / "board.ext4"))
    del arguments[2:4]
    assert main(arguments) == 0
    assert (tmp_path / "board.raucb").exists()


def test_the_ending_tells_rauc_the_kind(arguments: list[str], image: Path, tmp_path: Path) -> None:
    arguments[1] = str(shutil.copy(image, tmp_path / "board.erofs"))
    assert main([*arguments, "--slot-class", "system"]) == 0
    (packed,) = inspect(tmp_path / "v2.raucb", payload=False).manifest.images
    assert (packed.slot_class, packed.filename) == ("system", "system.img")


def test_an_existing_bundle_is_kept(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "v2.raucb").write_text("precious")
    said = refused(arguments, capsys, tmp_path)
    assert said == f"flipside: {tmp_path}/v2.raucb exists: give another --output, or --overwrite."
    assert (tmp_path / "v2.raucb").read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.ext4", b"", "is empty: expected an image"),
        ("a.ext4.zst", b"x", "unpack a compressed image first"),
        ("a.tar", b"x", "Cannot tell from the name"),
        ("a.img", None, "Cannot read the image"),
    ],
)
def test_what_is_no_image_is_refused(
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: bytes | None,
    complaint: str,
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    arguments[1] = str(path)
    said = refused(arguments, capsys, tmp_path)
    assert complaint in said
    assert str(path) in said


def test_a_directory_is_no_image(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "d.img").mkdir()
    arguments[1] = str(tmp_path / "d.img")
    assert "not a regular file" in refused(arguments, capsys, tmp_path)


@pytest.mark.parametrize(
    "change", [("--version", ""), ("--compatible", "a\nb"), ("--slot-class", "rootfs.0")]
)
def test_bad_words_are_refused(
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: tuple[str, str],
) -> None:
    assert "expected" in refused([*arguments, *change], capsys, tmp_path)


def test_a_missing_directory_is_told(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments[3] = str(tmp_path / "no" / "v2.raucb")
    assert "is no directory" in refused(arguments, capsys, tmp_path)


def test_without_mksquashfs_the_package_is_named(
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install the Debian package squashfs-tools" in refused(arguments, capsys, tmp_path, 3)


@pytest.mark.parametrize("reads", ["", "head -c 100000 >/dev/null; ", "cat >/dev/null; "])
def test_why_mksquashfs_failed_is_passed_on(
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    reads: str,
) -> None:
    """Whether it dies before, while or after it is fed."""
    program = tmp_path / "mksquashfs"
    program.write_text(f"#!/bin/sh\n{reads}echo 'No space left on device' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    said = refused(arguments, capsys, tmp_path, 3)
    assert "mksquashfs failed with status 1: No space left on device (" in said


def test_an_image_that_changes_while_it_is_read_is_refused(
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    image: Path,
) -> None:
    arguments[1] = str(shutil.copy(image, tmp_path / "busy.img"))
    real = shutil.which("mksquashfs")
    program = tmp_path / "mksquashfs"
    program.write_text(f'#!/bin/sh\n: > {tmp_path}/busy.img\nexec {real} "$@"\n')
    program.chmod(0o755)
    (tmp_path / "busy.img").write_bytes(bytes(64 * 1024 * 1024))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert "did not keep its size" in refused(arguments, capsys, tmp_path)


def test_an_expired_signer_is_refused_before_anything_is_packed(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused([*arguments, "--signer", "old"], capsys, tmp_path)
    assert "'old' expired on 2020-02-01" in said
    assert "flipside keys signer" in said


def test_a_key_that_lies_open_is_warned_of(
    arguments: list[str], keys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "keys"
    shutil.copytree(keys, copy)
    (copy / "signer.key.pem").chmod(0o644)
    arguments[5] = str(copy)
    assert main(arguments) == 0
    assert f"warning: others than its owner have access to {copy}" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"short", bytes(100_000), b"x" * 100_000])
def test_what_is_no_bundle_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    path = tmp_path / "x.raucb"
    path.write_bytes(content)
    assert main(["inspect", str(path)]) == 4
    assert f"flipside: {path}: " in capsys.readouterr().err


@pytest.mark.parametrize("keep", [100, 5_000, -1, -8, -9, -2_000])
def test_a_bundle_cut_short_is_told(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], keep: int
) -> None:
    assert main(arguments) == 0
    path = tmp_path / "v2.raucb"
    path.write_bytes(path.read_bytes()[:keep])
    assert main(["inspect", str(path)]) == 4
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("key", [b"verity-hash=", b"verity-salt="])
def test_figures_that_do_not_fit_the_contents_are_told(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], key: bytes
) -> None:
    assert main(arguments) == 0
    path = tmp_path / "v2.raucb"
    content = bytearray(path.read_bytes())
    at = content.rindex(key) + len(key)
    content[at : at + 4] = b"0000" if content[at : at + 4] != b"0000" else b"1111"
    path.write_bytes(content)
    assert main(["inspect", str(path)]) == 4
    assert "its contents are not what was signed" in capsys.readouterr().err


def test_a_missing_bundle_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path / "none")]) == 3
    assert "No such file" in capsys.readouterr().err


def test_a_bundles_text_cannot_drive_the_terminal(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    path = tmp_path / "v2.raucb"
    path.write_bytes(path.read_bytes().replace(b"test-board", b"te\x1b[2J\x1b]0x"))
    capsys.readouterr()
    assert main(["inspect", str(path)]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "te\N{REPLACEMENT CHARACTER}[2J" in said
