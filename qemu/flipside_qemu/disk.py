"""A device's disk: the boot loader's partition, two root slots, data."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flipside_qemu import esp, filesystem, tree
from flipside_qemu.board import QEMU_X86_64, Board
from flipside_qemu.cache import key_of, recipe
from flipside_qemu.errors import HostError
from flipside_qemu.filesystem import MIB, Ext4
from flipside_qemu.tree import Directory, File, Layer
from flipside_qemu.workbench import Workbench

GUID = "f11b51de-0000-4000-8000-0000000000{:02x}"
SECTOR = 512
AGENT = 900
"""Number of the user ``flipside`` in the guest (``qemu/images/customize.sh``)."""


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of the disk; its number is its place in the list."""

    name: str
    size: int
    """Bytes, whole MiB."""
    kind: str = "linux"
    """Type as sfdisk(8) calls it."""


PARTITIONS = (
    Partition("esp", esp.SIZE, "uefi"),
    Partition("root-a", 160 * MIB),
    Partition("root-b", 160 * MIB),
    Partition("data", 256 * MIB),
)


@dataclass(frozen=True, slots=True)
class Disk:
    """What makes one device's memory: its disk and the variables of its firmware."""

    image: Path
    """Raw and sparse."""
    variables: Path | None


def build(
    bench: Workbench,
    slot: Path,
    directory: Path,
    *,
    provision: Mapping[str, bytes],
    board: Board = QEMU_X86_64,
) -> Disk:
    """Write ``disk.raw`` and ``variables.fd`` of a new device that runs ``slot`` as slot A.

    ``provision`` maps paths below /data to files of the agent, such as ``flipside/device.toml``.
    """
    directory.mkdir(parents=True, exist_ok=True)
    keeps = board.hardware.variables
    disk = Disk(directory / "disk.raw", directory / "variables.fd" if keeps else None)
    first = board.loader.partition(bench, slot)
    content = {"esp": first, "root-a": slot, "data": _data(bench, provision)}
    _partition(bench, disk.image)
    for partition in PARTITIONS:
        if partition.name in content:
            _put(disk.image, partition, content[partition.name])
    if disk.variables is not None:
        shutil.copyfile(bench.toolbox.path(keeps), disk.variables)
    return disk


def _put(image: Path, partition: Partition, content: Path) -> None:
    size = content.stat().st_size
    if size > partition.size:
        raise HostError(
            f"{content} has {size // MIB} MiB, expected at most the {partition.size // MIB} MiB"
            f" of the partition {partition.name}; leave something out"
        )
    filesystem.write_at(image, offset_of(partition.name), content)


def offset_of(name: str) -> int:
    """Where on the disk a partition begins, in bytes."""
    offset = MIB
    for partition in PARTITIONS:
        if partition.name == name:
            return offset
        offset += partition.size
    raise ValueError(f"partition {name!r}, expected one of {[p.name for p in PARTITIONS]}")


def table() -> str:
    """The partition table as a script for sfdisk(8), with fixed identities."""
    lines = ["label: gpt", f"label-id: {GUID.format(0)}", "unit: sectors", ""]
    for number, partition in enumerate(PARTITIONS, start=1):
        lines.append(
            f"start={offset_of(partition.name) // SECTOR}, size={partition.size // SECTOR}, "
            f"type={partition.kind}, name={partition.name}, uuid={GUID.format(number)}"
        )
    return "\n".join(lines) + "\n"


def _partition(bench: Workbench, image: Path) -> None:
    # A MiB before the first partition, and one behind the last for the table's copy.
    with image.open("wb") as file:
        file.truncate(sum(partition.size for partition in PARTITIONS) + 2 * MIB)
    bench.toolbox.run(
        "sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", image, stdin=table().encode()
    )


def _data(bench: Workbench, provision: Mapping[str, bytes]) -> Path:
    """The data partition of a new device, from the cache or freshly made."""
    layer: Layer = {
        "rauc": Directory(0o700),
        "flipside": Directory(0o700, AGENT),
        **{name: File(content, 0o600, AGENT) for name, content in provision.items()},
    }
    size = PARTITIONS[-1].size
    plan = Ext4(label="data", uuid=GUID.format(0x14), size=size, writable=True, inodes=4096)
    key = key_of(
        recipe(__file__, filesystem.__file__, tree.__file__),
        bench.toolbox.root.name,
        repr(plan),
        *tree.key_parts(layer),
    )

    def make(place: Path) -> None:
        with tempfile.TemporaryDirectory() as name:
            archive = Path(name) / "data.tar"
            tree.pack(layer, archive)
            filesystem.make_ext4(bench.toolbox, plan, archive, place / "data.img")

    return bench.cache.entry("data", key, 8, make) / "data.img"
