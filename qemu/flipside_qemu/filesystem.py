"""File systems in image files: made from archives, byte for byte the same every time."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path

from flipside_qemu.toolbox import Toolbox

MIB = 1024 * 1024
BLOCK = 4096
INODE = 256
BLOCKS_PER_GROUP = 4096
"""Small groups, so that even a small file system has copies of its superblock; the first one is
in block 4096, where the data check looks for it (a torn superblock was seen to lose /data)."""
FEATURES = (
    *("extent", "filetype", "dir_index", "sparse_super", "large_file", "huge_file"),
    *("flex_bg", "extra_isize", "dir_nlink"),
)


@dataclass(frozen=True, slots=True)
class Ext4:
    """How an ext4 file system is made."""

    label: str
    uuid: str
    size: int
    """Bytes."""
    writable: bool
    """Has a journal and checksums; a slot is never written by the running system."""
    inodes: int


def make_ext4(toolbox: Toolbox, plan: Ext4, archive: Path, target: Path) -> None:
    """Write a file system with the content of a tar archive to ``target``."""
    toolbox.run(
        "mke2fs",
        *("-q", "-F", "-t", "ext4", "-b", str(BLOCK), "-g", str(BLOCKS_PER_GROUP)),
        *("-m", "0", "-I", str(INODE), "-N", str(plan.inodes), "-L", plan.label, "-U", plan.uuid),
        *("-O", _features(plan)),
        # hash_seed: else random. No lazy work: nothing is to be written by a mount alone.
        *("-E", f"hash_seed={plan.uuid},lazy_itable_init=0,lazy_journal_init=0,nodiscard"),
        *("-d", archive, target, f"{plan.size // 1024}k"),
        environment={"MKE2FS_CONFIG": "/dev/null"},
    )


def room_for(archive: Path, inodes: int) -> int:
    """Bytes of a file system that is never written to and holds this archive; whole 4 MiB."""
    with tarfile.open(archive) as tar:
        # A directory takes a block, and so does what a file has beyond its last full one.
        blocks = sum(1 + member.size // BLOCK for member in tar if member.isreg() or member.isdir())
    # Bitmaps, superblocks and extents: measured, less than one part in a hundred.
    wanted = blocks * BLOCK * 101 // 100 + inodes * INODE + 2 * MIB
    return -(-wanted // (4 * MIB)) * 4 * MIB


def make_fat(toolbox: Toolbox, target: Path, size: int, serial: int, content: Path) -> None:
    """Write a FAT file system with the files below ``content`` to ``target``."""
    with target.open("wb") as file:
        file.truncate(size)
    toolbox.run("mkfs.fat", "--invariant", "-F", "16", "-n", "ESP", "-i", f"{serial:08x}", target)
    for path in sorted(content.rglob("*")):
        name = f"::/{path.relative_to(content).as_posix()}"
        if path.is_dir():
            toolbox.run("mmd", "-i", target, name)
        else:
            toolbox.run("mcopy", "-i", target, path, name)


def write_at(disk: Path, offset: int, content: Path) -> None:
    """Copy a file into another one at this offset, leaving holes where there are only zeros."""
    with content.open("rb") as source, disk.open("r+b") as target:
        while chunk := source.read(MIB):
            if chunk.count(0) != len(chunk):
                target.seek(offset)
                target.write(chunk)
            offset += len(chunk)


def _features(plan: Ext4) -> str:
    journal = ("has_journal", "metadata_csum", "64bit") if plan.writable else ()
    # "none" first: whatever mke2fs takes for usual is not meant.
    return ",".join(("none", *FEATURES, *journal))
