"""The kernel of an arm64 device and those of its modules that it needs, ready to load."""

from __future__ import annotations

import gzip
import lzma
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from flipside_qemu import tree
from flipside_qemu.toolbox import Toolbox
from flipside_qemu.tree import Directory, File, Link

_KERNEL = "boot/vmlinuz-"
_MODULES = "usr/lib/modules/"
_NEEDLESS = ("vmlinuz", "System.map", "config", "build", "source")
"""Files beside the modules that are there from Debian 14 on."""


def kept(
    tools: Toolbox, packages: Path, names: Sequence[str]
) -> Mapping[str, File | Link | Directory]:
    """Kernel and modules out of an archive of Debian's packages, with what the modules need.

    Debian's kernel is packed as U-Boot unpacks it. The tools are kmod's: they read the modules of
    every processor.
    """
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        tree.extract(packages, root, lambda name: name.startswith((_KERNEL, _MODULES)))
        (kernel,) = root.glob(f"{_KERNEL}*")
        (root / "boot/vmlinuz").write_bytes(gzip.compress(kernel.read_bytes(), mtime=0))
        kernel.unlink()
        release = kernel.name.removeprefix("vmlinuz-")
        directory = root / _MODULES / release
        _reduce(tools, root, release, names)
        for name in _NEEDLESS:
            (directory / name).unlink(missing_ok=True)
        tools.run("depmod", "--basedir", root, release)
        return {name: entry for name, entry in tree.read(root).items() if name != "lib"}


def _reduce(tools: Toolbox, root: Path, release: str, names: Sequence[str]) -> None:
    """Leave only the modules of these names and those that they need, without compression."""
    (root / "lib").symlink_to("usr/lib")
    tools.run("depmod", "--basedir", root, release)
    wanted = {path for name in names for path in _needed(tools, root, release, name)}
    for path in (root / _MODULES / release / "kernel").rglob("*.ko.xz"):
        if path.name in wanted:
            path.with_suffix("").write_bytes(lzma.decompress(path.read_bytes()))
        path.unlink()


def _needed(tools: Toolbox, root: Path, release: str, name: str) -> set[str]:
    """File names of a module and of all that is loaded with it; none for what is built in."""
    words = ("--dirname", root, "--set-version", release, "--show-depends", name)
    lines = tools.run("modprobe", *words).decode().splitlines()
    return {Path(line.split()[1]).name for line in lines if line.startswith("insmod ")}
