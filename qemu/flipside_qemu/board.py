"""The kinds of devices that can be built: each is one value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flipside_qemu import esp, guest, systemd_boot_partition, uboot_partition
from flipside_qemu.guest import Module
from flipside_qemu.hardware import PC, VIRT, Hardware
from flipside_qemu.tree import File, Layer
from flipside_qemu.workbench import Workbench


@dataclass(frozen=True, slots=True)
class Loader:
    """A boot loader, from the side of whoever builds a device with it."""

    partition: Callable[[Workbench, Path], Path]
    """Makes the first partition of a new device that runs this image from slot A: the loader or its
    script, and the boot state."""
    arguments: str
    """File in a slot that tells it the kernel arguments of the image."""
    form: str
    """How that file says them."""
    reads_slots: bool = True
    """Whether it takes kernels out of the slots, and so finds out about one that is unreadable."""


GRUB = Loader(esp.build, "boot/arguments.cfg", 'set arguments="{}"\n')
UBOOT = Loader(uboot_partition.build, "boot/arguments.txt", "arguments={}\n")
SYSTEMD_BOOT = Loader(
    systemd_boot_partition.build,
    systemd_boot_partition.ENTRY,
    "title Flipside, slot @SLOT@\n"
    "linux /flipside/@slot@/vmlinuz\n"
    "initrd /flipside/@slot@/initrd.img\n"
    "options root=PARTLABEL=root-@slot@ ro rauc.slot=@SLOT@ flipside.loader=silent {}\n",
    reads_slots=False,
)


@dataclass(frozen=True, slots=True)
class Board:
    """A kind of device."""

    name: str
    """What ``hal`` calls it: the folder below ``hal/rauc``, and the one of its own files below
    ``qemu/images``."""
    architecture: str
    """What Debian calls its processor."""
    hardware: Hardware
    loader: Loader
    console: str
    """Name of its serial port in the kernel."""
    drivers: tuple[str, ...]
    """Kernel modules that it needs at every boot beside those that all boards need."""
    identity: tuple[str, ...] = ()
    """Kernel arguments by which systemd finds who this device is."""

    @property
    def kernel(self) -> str:
        """The Debian package of its kernel."""
        return f"linux-image-cloud-{self.architecture}"

    @property
    def compatible(self) -> str:
        """What bundles for it are marked with."""
        return f"flipside-{self.name}"

    def early_modules(self) -> list[str]:
        """Kernel modules that the initramfs loads, in this order."""
        return [*(module.name for module in _modules() if module.early), *self.drivers]

    def modules(self) -> list[str]:
        """All kernel modules that are kept."""
        return [*self.early_modules(), *(m.name for m in _modules() if not m.early)]

    def told(self, *arguments: str) -> Layer:
        """The file of an image by which the boot loader is told these kernel arguments."""
        text = self.loader.form.format(" ".join(arguments))
        return {self.loader.arguments: File(text.encode())}


def _modules() -> Sequence[Module]:
    return guest.modules(guest.text(guest.IMAGES / "modules"))


QEMU_X86_64 = Board(
    name="qemu-x86_64",
    architecture="amd64",
    hardware=PC,
    loader=GRUB,
    console="ttyS0",
    drivers=("i6300esb",),
    # The same machine-id in both slots, and another one in every device.
    identity=("systemd.machine_id=firmware",),
)
QEMU_ARM64 = Board(
    name="qemu-arm64",
    architecture="arm64",
    hardware=VIRT,
    loader=UBOOT,
    console="ttyAMA0",
    # Through the last one systemd hears of its machine-id.
    drivers=("virtio_mmio", "qemu_fw_cfg"),
)
QEMU_SYSTEMD_BOOT = replace(QEMU_X86_64, name="qemu-x86_64-systemd-boot", loader=SYSTEMD_BOOT)
BOARDS = {board.name: board for board in (QEMU_X86_64, QEMU_ARM64, QEMU_SYSTEMD_BOOT)}
