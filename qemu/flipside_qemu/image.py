"""A root file system image of the device: Debian, Flipside, a version, and perhaps a fault."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flipside_qemu import bytecode, filesystem, guest, initramfs, tree, units
from flipside_qemu.board import Board
from flipside_qemu.cache import key_of, recipe
from flipside_qemu.filesystem import Ext4
from flipside_qemu.rootfs import RootFs
from flipside_qemu.toolbox import run
from flipside_qemu.tree import Directory, File, Layer, Link
from flipside_qemu.workbench import Workbench

INODES = 8192
UUID = "f11b51de-0000-4000-8000-0000000000a0"


@dataclass(frozen=True, slots=True)
class Image:
    """What is to be built."""

    version: str
    """IMAGE_VERSION in os-release, which the device reports to its server."""
    keyring: bytes
    """Certificates, in PEM, by whose authority bundles are trusted."""
    files: Layer = field(default_factory=dict)
    """Laid over everything else: configuration, and faults (``flipside_qemu.faults``)."""


def arguments(board: Board) -> tuple[str, ...]:
    """What the kernel is told beside what the boot loader itself has to say."""
    port = board.console
    return (
        *(f"console={port}", "quiet", "panic=1", "oops=panic"),
        *board.identity,
        # systemd asks a serial terminal for its size and waits for an answer; nobody is there.
        *("TERM=dumb", f"systemd.tty.term.{port}=dumb", "systemd.tty.term.console=dumb"),
        *(f"systemd.tty.rows.{port}=24", f"systemd.tty.columns.{port}=250"),
        *("systemd.tty.rows.console=24", "systemd.tty.columns.console=250"),
        # What costs an emulated processor seconds in every boot and protects nothing here.
        *("audit=0", "lsm=capability", "mitigations=off", "init_on_alloc=0", "nowatchdog"),
    )


def build(bench: Workbench, rootfs: RootFs, image: Image) -> Path:
    """The ext4 image, from the cache or freshly made."""
    layer = _layer(bench, rootfs, image)
    how = recipe(
        *(__file__, filesystem.__file__, tree.__file__),
        *(initramfs.__file__, bytecode.__file__, units.__file__),
    )
    key = key_of(how, bench.toolbox.root.name, rootfs.key, *tree.key_parts(layer))

    def make(place: Path) -> None:
        with tempfile.TemporaryDirectory(dir=place) as name:
            archive = Path(name) / "root.tar"
            tree.overlay(rootfs.archive, {**layer, **bytecode.compiled(rootfs, layer)}, archive)
            size = filesystem.room_for(archive, INODES)
            plan = Ext4(label="root", uuid=UUID, size=size, writable=False, inodes=INODES)
            filesystem.make_ext4(bench.toolbox, plan, archive, place / "root.ext4")

    return bench.cache.entry("image", key, 16, make) / "root.ext4"


def _layer(bench: Workbench, rootfs: RootFs, image: Image) -> Layer:
    """All that is laid over Debian; what comes later wins."""
    layer = {
        **tree.read(guest.IMAGES / "rootfs"),
        **tree.read(guest.IMAGES / rootfs.board.name),
        **_device_rooms(rootfs.board),
        **_boot_files(bench, rootfs),
        "usr/lib/os-release": _os_release(rootfs, image.version),
        "etc/rauc/keyring.pem": File(image.keyring),
        **image.files,
    }
    return {**units.enabled(layer), **layer}


def _device_rooms(board: Board) -> dict[str, File | Link | Directory]:
    """Agent, boot control and board support, as ``make install-device`` lays them out."""
    with tempfile.TemporaryDirectory() as name:
        command = ["make", "--silent", "-C", str(guest.REPOSITORY), "install-device"]
        run([*command, f"DESTDIR={name}", f"BOARD={board.name}"])
        return tree.read(Path(name))


def _boot_files(bench: Workbench, rootfs: RootFs) -> Mapping[str, File | Link | Directory]:
    """The initramfs, and the kernel arguments that belong to this image and not to its loader."""
    (directory,) = (rootfs.tree / "usr/lib/modules").iterdir()
    archive = initramfs.archive(
        rootfs.busybox(bench.toolbox).read_bytes(),
        guest.text(guest.IMAGES / "initramfs/init").encode(),
        initramfs.read_modules(directory, rootfs.board.early_modules()),
    )
    return {
        "boot/initrd.img": File(archive),
        **rootfs.board.told(*arguments(rootfs.board)),
        "usr/lib/systemd/system/default.target": Link("multi-user.target"),
    }


def _os_release(rootfs: RootFs, version: str) -> File:
    debian = guest.text(rootfs.tree / "usr/lib/os-release")
    return File(f"{debian}IMAGE_ID={rootfs.board.compatible}\nIMAGE_VERSION={version}\n".encode())
