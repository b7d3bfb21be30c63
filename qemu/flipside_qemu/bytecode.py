"""Byte code of the device's own modules, made by the device's own Python.

An emulated processor takes seconds to compile them, and cannot keep the result: the slot is
read-only. The byte code is never compared with its source ("unchecked-hash", PEP 552).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from flipside_qemu import tree
from flipside_qemu.rootfs import RootFs
from flipside_qemu.toolbox import Toolbox
from flipside_qemu.tree import Directory, File, Layer, Link

SITE = "usr/lib/python3/dist-packages/"


def compiled(rootfs: RootFs, layer: Layer) -> dict[str, File | Link | Directory]:
    """The ``__pycache__`` files of all modules in this layer."""
    (python,) = (rootfs.tree / "usr/bin").glob("python3.*")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        _write_sources(place, layer)
        Toolbox(rootfs.tree).run(
            python.name,
            *("-S", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
            *("-s", place, "-p", "/", place),
            environment={"PYTHONHOME": str(rootfs.tree / "usr")},
        )
        return {path: entry for path, entry in tree.read(place).items() if path.endswith(".pyc")}


def _write_sources(place: Path, layer: Layer) -> None:
    for path, entry in layer.items():
        if path.startswith(SITE) and path.endswith(".py") and isinstance(entry, File):
            source = place / path
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_bytes(entry.content)
