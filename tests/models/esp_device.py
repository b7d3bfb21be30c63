"""A device with systemd-boot: two slots that hold images, a partition, and who switches it on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from flipside_bootctl.systemd_boot import SystemdBoot
from models.systemd_boot import ENTRIES, Firmware, Started, Tree
from models.vfat import contents, lay_out

ROOM = Path(__file__).parents[2] / "bootctl/systemd-boot"
INITRD = b"an initrd"


def kernel(version: int) -> bytes:
    """A kernel that is written in two steps, the second of which is short."""
    return f"kernel {version} ".encode() * 200


@dataclass
class EspDevice:
    """All of it below one directory; it is itself what gives a look into the slots."""

    path: Path
    renames_are_torn: bool = False
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def esp(self) -> Path:
        """Where the partition is mounted."""
        return self.path / "esp"

    @property
    def scheme(self) -> SystemdBoot:
        """What is tested."""
        return SystemdBoot(self.esp, self, str(self.path / "efivars"))

    @contextmanager
    def opened(self, name: str) -> Iterator[str]:
        """The files of a slot."""
        yield str(self.path / name)

    def make(self) -> EspDevice:
        """A device as it leaves the factory: version 1 in slot A, confirmed."""
        (self.esp / "loader").mkdir(parents=True)
        (self.esp / "loader/loader.conf").write_bytes((ROOM / "loader.conf").read_bytes())
        self.fill("A", 1)
        self.scheme.create("A")
        return self

    def fill(self, slot: str, version: int) -> None:
        """Have an image in a slot, as RAUC writes it."""
        boot = self.path / slot / "boot"
        boot.mkdir(parents=True, exist_ok=True)
        (boot / "vmlinuz").write_bytes(kernel(version))
        (boot / "initrd.img").write_bytes(INITRD)
        (boot / "entry.conf").write_bytes((ROOM / "entry.conf").read_bytes())

    def install(self, slot: str, version: int) -> None:
        """What RAUC does with an image: mark bad, write, select."""
        self.scheme.mark_bad(slot)
        self.fill(slot, version)
        self.scheme.select(slot)

    def boot(self) -> Started | None:
        """Switch it on."""
        machine = self.firmware(contents(self.esp))
        started = machine.boot()
        lay_out(machine.tree, self.esp)
        return started

    def boots(self, times: int) -> str:
        """Switch it on and off; the slots that came up."""
        return "".join(started.slot if (started := self.boot()) else "-" for _ in range(times))

    def firmware(self, tree: Tree) -> Firmware:
        """A machine with this partition."""
        whole = [INITRD, *(kernel(version) for version in range(9))]
        return Firmware(tree, whole, self.variables, renames_are_torn=self.renames_are_torn)

    def entries(self) -> list[str]:
        """Names of what lies among the entries."""
        return sorted(one.name for one in (self.esp / ENTRIES).iterdir())

    def entry(self, file: str) -> Path:
        """One of them."""
        return self.esp / ENTRIES / file
