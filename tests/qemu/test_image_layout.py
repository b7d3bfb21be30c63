"""Partitions, unit links, faults and the guest's own scripts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from flipside_qemu import disk, esp, faults, guest, tree
from flipside_qemu.filesystem import BLOCK, BLOCKS_PER_GROUP, MIB, room_for, write_at
from flipside_qemu.tree import File, Layer, Link
from flipside_qemu.units import enabled

CHECK = guest.IMAGES / "rootfs/usr/lib/flipside/check-data"


def test_partitions_are_those_of_the_boot_scheme() -> None:
    # grub.cfg counts on it: root-a is the second, root-b the third.
    names = [partition.name for partition in disk.PARTITIONS]
    assert names == ["esp", "root-a", "root-b", "data"]


def test_partitions_follow_each_other() -> None:
    for before, after in zip(disk.PARTITIONS, disk.PARTITIONS[1:], strict=False):
        assert disk.offset_of(after.name) == disk.offset_of(before.name) + before.size
    assert disk.offset_of("esp") == MIB


def test_table_gives_every_partition_its_fixed_identity() -> None:
    lines = disk.table().splitlines()
    assert lines[0] == "label: gpt"
    assert "start=2048, size=65536, type=uefi, name=esp, uuid=" in disk.table()
    assert len({line.rpartition("=")[2] for line in lines[-4:]}) == 4


def test_unknown_partition() -> None:
    with pytest.raises(ValueError, match="root-c"):
        disk.offset_of("root-c")


def test_slots_are_small() -> None:
    slots = [part for part in disk.PARTITIONS if part.name.startswith("root-")]
    assert len({part.size for part in slots}) == 1
    assert slots[0].size < 300 * MIB


def test_room_grows_with_what_is_in_it(tmp_path: Path) -> None:
    tree.pack({"a": File(bytes(100))}, tmp_path / "small.tar")
    tree.pack({"a": File(bytes(9 * MIB)), "b": File(b"x")}, tmp_path / "large.tar")
    assert room_for(tmp_path / "small.tar", 1000) == 4 * MIB
    assert room_for(tmp_path / "large.tar", 1000) == 12 * MIB


def test_writing_leaves_holes(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(bytes(MIB) + b"x" * MIB + bytes(MIB))
    with (tmp_path / "disk").open("wb") as file:
        file.truncate(8 * MIB)
    write_at(tmp_path / "disk", 2 * MIB, tmp_path / "part")
    content = (tmp_path / "disk").read_bytes()
    assert len(content) == 8 * MIB
    assert content.strip(b"\0") == b"x" * MIB
    assert content.index(b"x") == 3 * MIB
    assert (tmp_path / "disk").stat().st_blocks * 512 <= MIB + BLOCK


def test_grub_gets_every_command_of_its_script() -> None:
    script = guest.text(esp.SCRIPT)
    providers = {"regexp": "regexp", "save_env": "loadenv", "sleep": "sleep", "serial": "serial"}
    for command, module in providers.items():
        assert command in script
        assert module in esp.MODULES


def test_installed_units_are_enabled() -> None:
    units: Layer = {
        "usr/lib/systemd/system/a.service": File(b"[Install]\nWantedBy=multi-user.target x.target"),
        "usr/lib/systemd/system/b.service": File(b"[Unit]\nWantedBy=multi-user.target"),
        "usr/lib/systemd/system/c.service.d/d.conf": File(b"[Install]\nWantedBy=x.target"),
        "usr/lib/systemd/system/e.service": Link("a.service"),
    }
    assert enabled(units) == {
        "usr/lib/systemd/system/multi-user.target.wants/a.service": Link("../a.service"),
        "usr/lib/systemd/system/x.target.wants/a.service": Link("../a.service"),
    }


def test_failing_check_names_its_reason() -> None:
    (path,) = (layer := faults.failing_check("radio", "no carrier")).keys()
    entry = layer[path]
    assert isinstance(entry, File)
    done = subprocess.run(["sh"], input=entry.content, capture_output=True, check=False, timeout=10)
    assert path == "etc/flipside/health.d/required/radio"
    assert (done.returncode, done.stderr) == (1, b"no carrier\n")
    assert entry.mode == 0o755


@pytest.mark.parametrize(
    "script", ["initramfs/init", "customize.sh", "rootfs/usr/lib/flipside/check-data"]
)
def test_guest_scripts_are_shell(script: str) -> None:
    subprocess.run(["sh", "-n", str(guest.IMAGES / script)], check=True, timeout=10)


@pytest.mark.parametrize(
    ("codes", "ended", "tried"),
    [
        ("0", 0, ["-p"]),
        ("1", 0, ["-p"]),
        ("4 1", 0, ["-p", "-y"]),
        ("8 8 3", 0, ["-p", "-y", "-y -b 4096 -B 4096"]),
        ("8 8 8", 1, ["-p", "-y", "-y -b 4096 -B 4096"]),
    ],
)
def test_data_check_tries_harder_and_harder(
    tmp_path: Path, codes: str, ended: int, tried: list[str]
) -> None:
    """Against a model of e2fsck that ends with one code after the other."""
    model = tmp_path / "e2fsck"
    model.write_text(
        f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\n'
        f"set -- {codes}\nshift $(($(wc -l < {tmp_path}/calls) - 1))\nexit $1\n"
    )
    model.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", str(CHECK), "/dev/x"], env=environment, capture_output=True, check=False, timeout=10
    )
    assert done.returncode == ended
    assert (tmp_path / "calls").read_text().splitlines() == [f"{call} /dev/x" for call in tried]


def test_data_check_looks_for_the_superblock_where_it_is_put() -> None:
    assert f"-b {BLOCKS_PER_GROUP} -B {BLOCK}" in CHECK.read_text()
