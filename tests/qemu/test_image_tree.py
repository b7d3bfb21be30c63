"""Laying files over an archive, and taking some out of one."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from flipside_qemu import tree
from flipside_qemu.tree import Directory, File, Layer, Link


def _archive(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def _member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = target
    member.uid = 7
    member.mode = 0o640
    return member


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """As mmdebstrap writes it: names begin with "./", a hard link comes after its target."""
    return _archive(
        tmp_path / "base.tar",
        [
            (_member("./", tarfile.DIRTYPE), b""),
            (_member("./usr/z"), b"zed"),
            (_member("./usr/a", tarfile.LNKTYPE, "./usr/z"), b""),
            (_member("./usr/sbin/init", tarfile.SYMTYPE, "../lib/systemd/systemd"), b""),
            (_member("./etc/absolute", tarfile.SYMTYPE, "/etc/shadow"), b""),
            (_member("./dev/null", tarfile.CHRTYPE), b""),
        ],
    )


def _content(archive: Path) -> dict[str, tuple[bytes, int, int, bytes]]:
    with tarfile.open(archive) as tar:
        return {
            member.name: (
                member.type,
                member.mode,
                member.uid,
                member.linkname.encode() or _read(tar, member),
            )
            for member in tar
        }


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""


def test_added_file_replaces_what_had_its_name(base: Path, tmp_path: Path) -> None:
    tree.overlay(base, {"usr/sbin/init": File(b"#!/bin/sh\n", 0o755)}, tmp_path / "out.tar")
    content = _content(tmp_path / "out.tar")
    assert content["usr/sbin/init"] == (tarfile.REGTYPE, 0o755, 0, b"#!/bin/sh\n")


def test_owner_mode_and_type_of_the_others_stay(base: Path, tmp_path: Path) -> None:
    tree.overlay(base, {}, tmp_path / "out.tar")
    content = _content(tmp_path / "out.tar")
    assert content["usr/z"] == (tarfile.REGTYPE, 0o640, 7, b"zed")
    assert content["dev/null"][0] == tarfile.CHRTYPE


def test_hard_link_comes_after_its_target(base: Path, tmp_path: Path) -> None:
    tree.overlay(base, {}, tmp_path / "out.tar")
    names = list(_content(tmp_path / "out.tar"))
    assert names.index("usr/a") > names.index("usr/z")
    assert _content(tmp_path / "out.tar")["usr/a"][3] == b"usr/z"


def test_directories_of_added_files_are_made_first(base: Path, tmp_path: Path) -> None:
    layer: Layer = {"opt/x/file": File(b""), "opt/mine": Directory(0o700, 900), "opt/l": Link("x")}
    tree.overlay(base, layer, tmp_path / "out.tar")
    content = _content(tmp_path / "out.tar")
    assert content["opt/x"] == (tarfile.DIRTYPE, 0o755, 0, b"")
    assert content["opt/mine"] == (tarfile.DIRTYPE, 0o700, 900, b"")
    assert content["opt/l"][3] == b"x"
    names = list(content)
    assert names.index("opt") < names.index("opt/x") < names.index("opt/x/file")


def test_equal_layers_make_equal_bytes(base: Path, tmp_path: Path) -> None:
    files: Layer = {"b": File(b"1"), "a/c": File(b"2"), "a/b": Link("c")}
    tree.overlay(base, files, tmp_path / "one.tar")
    tree.overlay(base, dict(sorted(files.items(), reverse=True)), tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_extracting_leaves_out_devices_and_ways_out(base: Path, tmp_path: Path) -> None:
    tree.extract(base, tmp_path / "out", lambda name: not name.endswith("/init"))
    found = {path.name for path in (tmp_path / "out").rglob("*") if not path.is_dir()}
    assert found == {"a", "z"}


def test_reading_a_directory_keeps_links_and_the_right_to_run(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/run").write_text("x")
    (tmp_path / "d/run").chmod(0o700)
    (tmp_path / "d/text").write_text("y")
    (tmp_path / "d/text").chmod(0o600)
    (tmp_path / "d/link").symlink_to("/elsewhere")
    (tmp_path / "d/empty").mkdir()
    assert tree.read(tmp_path) == {
        "d/empty": Directory(),
        "d/link": Link("/elsewhere"),
        "d/run": File(b"x", 0o755),
        "d/text": File(b"y", 0o644),
    }


def test_key_tells_a_file_from_a_link_and_a_mode_from_another() -> None:
    layers: list[Layer] = [
        {"a": File(b"b")},
        {"a": File(b"b", 0o755)},
        {"a": File(b"b", owner=900)},
        {"a": Link("b")},
        {"b": Link("a")},
    ]
    assert len({tuple(tree.key_parts(layer)) for layer in layers}) == len(layers)
