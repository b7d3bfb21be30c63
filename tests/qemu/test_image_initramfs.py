"""The initramfs: a cpio archive, and the order of its modules."""

from __future__ import annotations

import re
import stat
from pathlib import PurePosixPath

import pytest

from flipside_qemu import guest, initramfs
from flipside_qemu.errors import HostError

DEPENDENCIES = """\
kernel/net/core/failover.ko:
kernel/drivers/net/net_failover.ko: kernel/net/core/failover.ko
kernel/drivers/net/virtio_net.ko: kernel/drivers/net/net_failover.ko kernel/net/core/failover.ko
kernel/drivers/md/dm-verity.ko: kernel/drivers/md/dm-mod.ko
kernel/drivers/md/dm-mod.ko:
"""


def _unpack(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """The other party: entries as the kernel reads them (init/initramfs.c)."""
    found: dict[str, tuple[int, bytes]] = {}
    position = 0
    while True:
        assert archive[position : position + 6] == b"070701"
        fields = [int(archive[position + 6 + 8 * n : position + 14 + 8 * n], 16) for n in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = archive[position + 110 : position + 109 + name_size].decode()
        start = (position + 110 + name_size + 3) & ~3
        if name == "TRAILER!!!":
            return found
        found[name] = (mode, archive[start : start + size])
        position = (start + size + 3) & ~3


def test_archive_holds_what_the_script_needs() -> None:
    entries = _unpack(initramfs.archive(b"BUSY", b"#!/bin/sh\n", {"fat": b"FAT", "vfat": b"V"}))
    assert entries["bin/busybox"] == (stat.S_IFREG | 0o755, b"BUSY")
    assert entries["bin/mount"] == (stat.S_IFLNK | 0o777, b"busybox")
    assert entries["init"] == (stat.S_IFREG | 0o755, b"#!/bin/sh\n")
    assert [name for name in entries if name.startswith("modules/")] == [
        "modules/00-fat.ko",
        "modules/01-vfat.ko",
    ]
    for name in initramfs.DIRECTORIES:
        assert stat.S_ISDIR(entries[name][0])


def test_every_command_of_the_script_is_an_applet() -> None:
    script = guest.text(guest.IMAGES / "initramfs/init")
    commands = re.findall(r"^(?:exec )?\s*([a-z_]+) (?!\(\))", script, re.MULTILINE)
    shell = {"case", "do", "done", "echo", "esac", "exec", "fail", "for", "read", "while"}
    assert {"insmod", "mount", "switch_root"} <= set(commands)
    assert set(commands) - shell <= set(initramfs.APPLETS)


def test_dependencies_are_loaded_first_and_once() -> None:
    order = initramfs.load_order(["virtio_net", "failover"], DEPENDENCIES)
    assert [path.name for path in order] == ["failover.ko", "net_failover.ko", "virtio_net.ko"]


def test_module_is_found_by_either_spelling_of_its_file() -> None:
    order = initramfs.load_order(["dm_verity"], DEPENDENCIES)
    assert order[-1] == PurePosixPath("kernel/drivers/md/dm-verity.ko")


def test_module_that_the_kernel_lacks() -> None:
    with pytest.raises(HostError, match=r"no module nvme, expected it in modules\.dep"):
        initramfs.load_order(["nvme"], DEPENDENCIES)


def test_list_of_modules() -> None:
    text = "# remark\n\nvirtio_blk  early   the disk\nloop  a bundle that came early\n"
    assert guest.modules(text) == [
        guest.Module("virtio_blk", early=True),
        guest.Module("loop", early=False),
    ]


def test_the_disk_is_the_first_module_of_the_real_list() -> None:
    modules = guest.modules(guest.text(guest.IMAGES / "modules"))
    assert modules[0] == guest.Module("virtio_blk", early=True)
