"""The device's root file system without anything of Flipside in it: Debian, cut down, in a tar."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from flipside_qemu import debian, guest, tree
from flipside_qemu.board import QEMU_X86_64, Board
from flipside_qemu.cache import Cache, Say, key_of
from flipside_qemu.errors import HostError
from flipside_qemu.likeness import Likeness
from flipside_qemu.toolbox import Toolbox

VERSION = "1"
"""Part of the cache's key; a change of how the tree is made counts it up."""
PACKAGES = (
    "busybox",
    "dbus",
    "e2fsprogs",
    "kmod",
    "polkitd",
    "python3",
    "python3-dbus-next",
    "rauc",
    "rauc-service",
    "systemd-sysv",
    "udev",
    "xz-utils",
)

# What the host needs of the guest's files: modules for the initramfs, the name of the system, and
# its Python with the libraries that it is linked to, to compile the agent's modules.
_TREE = ("usr/lib/modules/", "usr/lib/os-release")
_PYTHON = (
    "usr/lib64/",
    "usr/bin/python3",
    "usr/lib/python3.",
    "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.",
    "usr/lib/x86_64-linux-gnu/libc.so.",
    "usr/lib/x86_64-linux-gnu/libm.so.",
    "usr/lib/x86_64-linux-gnu/libz.so.",
    "usr/lib/x86_64-linux-gnu/libexpat.so.",
)
_BUSYBOX = "usr/bin/busybox"


@dataclass(frozen=True, slots=True)
class RootFs:
    """A built root file system in the cache."""

    directory: Path
    board: Board

    @property
    def archive(self) -> Path:
        """All files, with the guest's owners and modes."""
        return self.directory / "rootfs.tar"

    @property
    def tree(self) -> Path:
        """The few of them that the host works with, extracted."""
        return self.directory / "tree"

    @property
    def key(self) -> str:
        """Names everything that it was built from."""
        return self.directory.name

    def busybox(self, toolbox: Toolbox) -> Path:
        """One for its initramfs: it runs on this processor and needs no library."""
        own = self.tree / _BUSYBOX
        return own if own.exists() else toolbox.path(_BUSYBOX)


def build(cache: Cache, suite: str = "trixie", board: Board = QEMU_X86_64) -> RootFs:
    """The root file system of a Debian suite for a board, from the cache or freshly made."""
    if board.architecture == QEMU_X86_64.architecture:
        return _own(cache, suite, board)
    pattern = _own(cache, suite, QEMU_X86_64)
    like = Likeness(cache, suite, board, pattern.archive, (*PACKAGES, board.kernel))
    key = key_of(pattern.key, *like.ingredients())

    def make(place: Path) -> None:
        root = RootFs(place, board)
        like.write(root.archive)
        tree.extract(root.archive, root.tree, lambda name: name.startswith((*_TREE, _BUSYBOX)))
        # Byte code is the same on every processor, so one that runs here makes it.
        tree.extract(pattern.archive, root.tree, lambda name: name.startswith(_PYTHON))

    return RootFs(cache.entry(f"rootfs-{suite}-{board.architecture}", key, 2, make), board)


def _own(cache: Cache, suite: str, board: Board) -> RootFs:
    """One for the processor of this machine."""
    script = guest.text(guest.IMAGES / "customize.sh")
    packages, names = sorted([*PACKAGES, board.kernel]), board.modules()
    key = key_of(VERSION, suite, *packages, script, *names)
    hook = f"MODULES={shlex.quote(' '.join(names))}\n{script}"
    make = _Make(suite, board, packages, hook, cache.say)
    return RootFs(cache.entry(f"rootfs-{suite}", key, 2, make.into), board)


@dataclass(frozen=True, slots=True)
class _Make:
    suite: str
    board: Board
    packages: list[str]
    hook: str
    say: Say

    def into(self, place: Path) -> None:
        root = RootFs(place, self.board)
        options = [
            "--mode=auto",
            "--variant=minbase",
            *debian.NO_DOCUMENTATION,
            # As text: an ordinary user's namespace may not read the user's own files.
            f"--customize-hook={self.hook}",
        ]
        debian.bootstrap(root.archive, self.suite, self.packages, options=options, say=self.say)
        tree.extract(root.archive, root.tree, lambda name: name.startswith((*_TREE, *_PYTHON)))
        if not (root.tree / "usr/lib/modules").is_dir():
            raise HostError(
                f"{root.archive} has no kernel modules, expected Debian's cloud kernel in it"
            )
