"""The device's initramfs: busybox, a script, and the drivers that every boot needs.

It is an uncompressed cpio archive in the kernel's "newc" format
(Linux Documentation/driver-api/early-userspace/buffer-format.rst).
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from flipside_qemu.errors import HostError

APPLETS = ("sh", "insmod", "ip", "mkdir", "mknod", "mount", "reboot", "sleep", "switch_root")
DIRECTORIES = ("bin", "dev", "modules", "proc", "root", "sys")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a cpio archive."""

    name: str
    mode: int
    """Type and permissions, as in ``st_mode``."""
    content: bytes = b""
    """The target, for a symbolic link."""


def archive(busybox: bytes, init: bytes, modules: Mapping[str, bytes]) -> bytes:
    """The initramfs; modules are loaded in their order, each with its own dependencies before."""
    entries = [Entry(name, stat.S_IFDIR | 0o755) for name in DIRECTORIES]
    entries.append(Entry("bin/busybox", stat.S_IFREG | 0o755, busybox))
    entries += [Entry(f"bin/{name}", stat.S_IFLNK | 0o777, b"busybox") for name in APPLETS]
    entries.append(Entry("init", stat.S_IFREG | 0o755, init))
    for number, (name, content) in enumerate(modules.items()):
        entries.append(Entry(f"modules/{number:02}-{name}.ko", stat.S_IFREG | 0o644, content))
    return newc(entries)


def newc(entries: Iterable[Entry]) -> bytes:
    """A cpio archive of these entries, all owned by root and as old as the epoch."""
    parts = [_record(number, entry) for number, entry in enumerate(entries, start=1)]
    return b"".join([*parts, _record(0, Entry("TRAILER!!!", 0))])


def load_order(names: Sequence[str], dependencies: str) -> list[PurePosixPath]:
    """Files to load for these modules, dependencies first, by the text of ``modules.dep``."""
    files = _dependencies(dependencies)
    order: list[PurePosixPath] = []
    for name in names:
        if name not in files:
            raise HostError(f"the kernel has no module {name}, expected it in modules.dep")
        # depmod writes what a module needs behind it, the first to load last.
        order += [path for path in reversed(files[name]) if path not in order]
    return order


def read_modules(directory: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Modules and their dependencies by name, in load order, from ``/usr/lib/modules/RELEASE``."""
    order = load_order(names, (directory / "modules.dep").read_text())
    return {path.name.partition(".")[0]: (directory / path).read_bytes() for path in order}


def _dependencies(text: str) -> dict[str, list[PurePosixPath]]:
    files = {}
    for line in text.splitlines():
        paths = [PurePosixPath(word) for word in line.replace(":", " ").split()]
        files[paths[0].name.partition(".")[0].replace("-", "_")] = paths
    return files


def _record(number: int, entry: Entry) -> bytes:
    name = entry.name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (number, entry.mode, 0, 0, links, 0, len(entry.content), 0, 0, 0, 0, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + name) + _padded(entry.content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
