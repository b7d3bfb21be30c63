"""Disks of one's own over a base that many devices share and none writes."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from flipside_qemu.errors import HostError, OperatorError
from flipside_qemu.machine import Machine


def private(machine: Machine, directory: Path, img: Sequence[str]) -> Machine:
    """The same machine with a disk and variables that it may write; both begin empty of changes.

    Made in milliseconds, whatever the size of the base. Both are qcow2, so snapshots work.
    """
    disk, variables = directory / "disk.qcow2", directory / "variables.qcow2"
    cover(machine.disk, disk, img)
    if machine.variables is None:
        return replace(machine, disk=disk)
    cover(machine.variables, variables, img)
    return replace(machine, disk=disk, variables=variables)


def cover(base: Path, overlay: Path, img: Sequence[str]) -> None:
    """Make a qcow2 that shows the base until it is written; what was there before is lost."""
    if not base.is_file():
        raise OperatorError(f"{base} does not exist, expected a disk image; build or name one")
    form = "qcow2" if base.suffix == ".qcow2" else "raw"
    base_options = ("-b", str(base.resolve()), "-F", form)
    command = [*img, "create", "-q", "-f", "qcow2", *base_options, str(overlay)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise HostError(f"qemu-img cannot make {overlay} over {base}: {said[-1] if said else '?'}")
