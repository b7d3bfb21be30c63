"""What QEMU builds a machine of: one value for each kind of hardware that devices have."""

from __future__ import annotations

from dataclasses import dataclass

from flipside_qemu import toolbox
from flipside_qemu.cache import Cache
from flipside_qemu.toolbox import Toolbox


@dataclass(frozen=True, slots=True)
class Hardware:
    """A kind of machine, with the firmware that it is switched on with."""

    program: str
    """QEMU for its processor."""
    machine: str
    """What QEMU calls it."""
    cpu: str
    """Its processor where QEMU emulates it; with KVM it has the host's."""
    disk: str
    """The virtio disk that its firmware can use."""
    watchdog: str
    """A watchdog that its kernel has a driver for; empty for none."""
    smbios: bool
    """Whether its firmware tells the kernel who the machine is. Otherwise systemd is told."""
    tools: str
    """Name in the cache of a toolbox with this QEMU and its firmware."""
    packages: tuple[str, ...]
    """What is in that toolbox."""
    firmware: str
    """The firmware's code, in that toolbox."""
    variables: str
    """The firmware's empty variables, in that toolbox; empty for firmware that keeps none."""

    def toolbox(self, cache: Cache) -> Toolbox:
        """That toolbox, from the cache or freshly fetched."""
        return toolbox.fetch(cache, self.tools, toolbox.SUITE, self.packages)


PC = Hardware(
    program="qemu-system-x86_64",
    machine="pc",
    # Without virtualisation, or the guest loads a module for it at every boot.
    cpu="qemu64,-svm",
    # -M pc has only IDE: virtio-blk is faster, can be saved in snapshots (NVMe cannot), and its
    # flushes are what a recorder of writes understands.
    disk="virtio-blk-pci",
    watchdog="i6300esb",
    smbios=True,
    tools="toolbox",
    packages=toolbox.PACKAGES,
    firmware="usr/share/OVMF/OVMF_CODE_4M.fd",
    variables="usr/share/OVMF/OVMF_VARS_4M.fd",
)
"""An x86-64 PC with UEFI."""

VIRT = Hardware(
    program="qemu-system-aarch64",
    machine="virt",
    cpu="cortex-a53",
    # Not on the PCI bus: a U-Boot that keeps its environment on the disk reads it before it
    # looks for that bus.
    disk="virtio-blk-device",
    # Debian's kernel for arm64 machines in the cloud has no driver for one that QEMU has.
    watchdog="",
    smbios=False,
    tools="toolbox-arm64",
    packages=("kmod", "qemu-system-arm", "qemu-utils", "u-boot-qemu", "u-boot-tools"),
    firmware="usr/lib/u-boot/qemu_arm64/u-boot.bin",
    variables="",
)
"""An arm64 machine with Debian's U-Boot."""
