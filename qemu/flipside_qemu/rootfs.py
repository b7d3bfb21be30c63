"""The device's root file system without anything of Flipside in it: Debian, cut down, in a tar."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from flipside_qemu import debian, guest, tree
from flipside_qemu.cache import Cache, Say, key_of
from flipside_qemu.errors import HostError

VERSION = "1"
"""Part of the cache's key; a change of how the tree is made counts it up."""
PACKAGES = (
    "busybox",
    "dbus",
    "e2fsprogs",
    "kmod",
    "linux-image-cloud-amd64",
    "polkitd",
    "python3",
    "python3-dbus-next",
    "rauc",
    "rauc-service",
    "systemd-sysv",
    "udev",
    "xz-utils",
)
DOCUMENTATION = ("doc", "man", "locale", "info")

# What the host needs of the guest's files: modules for the initramfs, the name of the system, and
# its Python with the libraries that it is linked to, to compile the agent's modules.
_TREE = (
    "usr/lib/modules/",
    "usr/lib/os-release",
    "usr/lib64/",
    "usr/bin/python3",
    "usr/lib/python3.",
    "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.",
    "usr/lib/x86_64-linux-gnu/libc.so.",
    "usr/lib/x86_64-linux-gnu/libm.so.",
    "usr/lib/x86_64-linux-gnu/libz.so.",
    "usr/lib/x86_64-linux-gnu/libexpat.so.",
)


@dataclass(frozen=True, slots=True)
class RootFs:
    """A built root file system in the cache."""

    directory: Path

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


def build(cache: Cache, suite: str = "trixie") -> RootFs:
    """The root file system of a Debian suite, from the cache or freshly made."""
    script = guest.text(guest.IMAGES / "customize.sh")
    names = [module.name for module in guest.modules(guest.text(guest.IMAGES / "modules"))]
    key = key_of(VERSION, suite, *PACKAGES, script, *names)
    hook = f"MODULES={shlex.quote(' '.join(names))}\n{script}"
    make = _Make(suite, hook, cache.say)
    return RootFs(cache.entry(f"rootfs-{suite}", key, 2, make.into))


@dataclass(frozen=True, slots=True)
class _Make:
    suite: str
    hook: str
    say: Say

    def into(self, place: Path) -> None:
        archive = RootFs(place).archive
        excluded = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in DOCUMENTATION]
        options = [
            "--mode=auto",
            "--variant=minbase",
            *excluded,
            # As text: an ordinary user's namespace may not read the user's own files.
            f"--customize-hook={self.hook}",
        ]
        debian.bootstrap(archive, self.suite, PACKAGES, options=options, say=self.say)
        _extract(archive, RootFs(place).tree)


def _extract(archive: Path, place: Path) -> None:
    tree.extract(archive, place, lambda name: name.startswith(_TREE))
    if not (place / "usr/lib/modules").is_dir():
        raise HostError(f"{archive} has no kernel modules, expected Debian's cloud kernel in it")
