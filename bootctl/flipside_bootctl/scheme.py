"""The protocol that every boot scheme speaks, and which scheme this machine has."""

from __future__ import annotations

import os
from typing import Protocol

from flipside_bootctl.errors import NoScheme
from flipside_bootctl.state import BootState, Capabilities

GRUB = "efi/flipside/grub.cfg"
UBOOT = "etc/fw_env.config"
SYSTEMD_BOOT = "efi/loader/loader.conf"


class Scheme(Protocol):
    """Boot control of one kind of boot loader."""

    @property
    def capabilities(self) -> Capabilities: ...
    def read(self) -> BootState: ...
    def read_or_rebuild(self) -> BootState: ...
    def damage(self) -> str: ...
    def select(self, name: str) -> None: ...
    def mark_good(self, name: str) -> None: ...
    def mark_bad(self, name: str) -> None: ...


def detect(root: str | os.PathLike[str]) -> Scheme:
    """The scheme of the machine whose file system starts at ``root``; only its code is imported."""
    grub, uboot = os.path.join(root, GRUB), os.path.join(root, UBOOT)
    if os.path.isfile(grub):
        from flipside_bootctl.grub_counted import GrubCounted

        return GrubCounted(os.path.dirname(os.path.dirname(grub)))
    loader = os.path.join(root, SYSTEMD_BOOT)
    if os.path.isfile(loader) and (scheme := _systemd_boot(os.path.join(root, "efi"), root)):
        return scheme
    if os.path.isfile(uboot):
        return _uboot(uboot, root)
    raise NoScheme(
        f"neither {grub} nor {loader} of Flipside nor {uboot} is there, expected the EFI system "
        "partition to be mounted, or a U-Boot whose environment is described"
    )


def _systemd_boot(esp: str, root: str | os.PathLike[str]) -> Scheme | None:
    from flipside_bootctl import systemd_boot
    from flipside_bootctl.slot_files import SlotMount

    if not systemd_boot.has_scheme(esp):
        return None
    efivars = os.path.join(root, "sys/firmware/efi/efivars")
    return systemd_boot.SystemdBoot(esp, SlotMount(root), efivars)


def _uboot(config: str, root: str | os.PathLike[str]) -> Scheme:
    from flipside_bootctl import fw_env_config
    from flipside_bootctl.uboot_counted import UbootCounted
    from flipside_bootctl.uboot_storage import UbootStorage

    try:
        with open(config, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError as error:
        raise NoScheme(f"{config}: {error.strerror}, expected to read it") from error
    return UbootCounted(UbootStorage(fw_env_config.parse(text, config), root))
