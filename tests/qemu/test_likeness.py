"""A root file system for another processor, put together out of small archives."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from flipside_qemu import likeness
from flipside_qemu.errors import HostError

CODE = b"\x7fELF machine code"
TRIPLETS = "x86_64-linux-gnu", "aarch64-linux-gnu"
OURS, THEIRS = (f"usr/lib/{triplet}" for triplet in TRIPLETS)
Members = dict[str, tuple[bytes | str, int, int]]
"""By name: what is in it, or, as text, what it links to; its mode; its group."""


def archive(path: Path, members: Members) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, (content, mode, group) in members.items():
            member = tarfile.TarInfo(f"./{name}")
            member.mode, member.gid = mode, group
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


def joined(place: Path, pattern: Members, packages: Members) -> Members:
    ours, theirs = archive(place / "ours", pattern), archive(place / "theirs", packages)
    likeness.join(ours, theirs, place / "joined")
    with tarfile.open(place / "joined") as tar:
        return {member.name: (_content(tar, member), member.mode, member.gid) for member in tar}


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes | str:
    file = tar.extractfile(member) if member.isreg() else None
    return file.read() if file else member.linkname


def test_machine_code_comes_from_the_packages_and_its_owner_from_the_pattern(
    tmp_path: Path,
) -> None:
    pattern: Members = {"usr/bin/su": (CODE, 0o4755, 3), f"{OURS}/libc.so.6": (CODE, 0o644, 0)}
    packages: Members = {
        "usr/bin/su": (b"other code", 0o755, 0),
        f"{THEIRS}/libc.so.6": (b"other libc", 0o755, 0),
        "usr/bin/cut-away": (b"", 0o755, 0),
    }
    assert joined(tmp_path, pattern, packages) == {
        "usr/bin/su": (b"other code", 0o4755, 3),
        f"{THEIRS}/libc.so.6": (b"other libc", 0o644, 0),
    }


def test_what_scripts_have_made_comes_from_the_pattern(tmp_path: Path) -> None:
    pattern: Members = {
        "etc/shadow": (b"root:*:", 0o640, 42),
        "usr/bin/awk": ("/etc/alternatives/awk", 0o777, 0),
        "var/lock": ("/run/lock", 0o777, 0),
    }
    assert joined(tmp_path, pattern, {"var/lock": (b"", 0o644, 0)}) == pattern


def test_the_loader_is_where_the_other_processor_looks_for_it(tmp_path: Path) -> None:
    pattern: Members = {
        "usr/lib64/ld-linux-x86-64.so.2": (f"../lib/{TRIPLETS[0]}/ld-linux-x86-64.so.2", 0o777, 0),
        f"{OURS}/ld-linux-x86-64.so.2": (CODE, 0o755, 0),
    }
    packages: Members = {
        "usr/lib/ld-linux-aarch64.so.1": (f"{TRIPLETS[1]}/ld-linux-aarch64.so.1", 0o777, 0),
        f"{THEIRS}/ld-linux-aarch64.so.1": (b"other code", 0o755, 0),
    }
    assert joined(tmp_path, pattern, packages) == packages


@pytest.mark.parametrize(
    "name",
    [
        "boot/vmlinuz",
        "usr/lib/modules/6.12/kernel/loop.ko",
        "etc/ld.so.cache",
        "usr/lib/python3.13/__pycache__/_sysconfigdata__linux_x86_64-linux-gnu.cpython-313.pyc",
    ],
)
def test_what_only_the_patterns_processor_can_use_is_left_out(tmp_path: Path, name: str) -> None:
    assert joined(tmp_path, {name: (CODE, 0o644, 0)}, {}) == {}


def test_machine_code_that_no_package_brings_is_told(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"usr/bin/sed is in none of the fetched packages"):
        joined(tmp_path, {"usr/bin/sed": (CODE, 0o755, 0)}, {})
