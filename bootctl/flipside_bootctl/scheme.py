"""The protocol that every boot scheme speaks, and which scheme this machine has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from flipside_bootctl.errors import DamagedState, NoScheme

if TYPE_CHECKING:
    from collections.abc import Callable

    from flipside_bootctl.rauc_config import RaucConfig
    from flipside_bootctl.state import BootState, Capabilities
    from flipside_bootctl.uboot_storage import UbootStorage

GRUB = "efi/flipside/grub.cfg"
SYSTEMD_BOOT = "efi/loader/loader.conf"
UBOOT = "etc/fw_env.config"
RAUC = ("etc/rauc/system.conf", "run/rauc/system.conf", "usr/lib/rauc/system.conf")
"""RAUC takes the first that is there (RAUC, docs/reference.rst)."""
BOOTCOUNT = "boot/failures"
"""The file in which a U-Boot with ``CONFIG_BOOTCOUNT_FS`` counts; this is its default name."""


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
    """The scheme of the machine whose file system starts at ``root``; only its code is imported.

    RAUC's word counts where it drives the boot loader itself; else the first of the files that
    belong to a scheme of ours.
    """
    config = rauc_told(root)
    if config and config.bootloader in _RAUCS_OWN:
        return _RAUCS_OWN[config.bootloader](root, config)
    for place in _present(root):
        return _OURS[place](os.path.join(root, place), root)
    places = " nor ".join(os.path.join(root, place) for place in _OURS)
    raise NoScheme(
        f"neither {places} is there and of Flipside, expected the EFI system partition to be "
        "mounted and readable, or a U-Boot whose environment is described"
    )


def overlooked(root: str | os.PathLike[str]) -> list[str]:
    """What belongs to further schemes and is not looked at."""
    config = rauc_told(root)
    decided = bool(config and config.bootloader in _RAUCS_OWN)
    kept = UBOOT if config and config.bootloader == "uboot" else ""
    present = _present(root)
    return [place for place in (present if decided else present[1:]) if place != kept]


def rauc_told(root: str | os.PathLike[str]) -> RaucConfig | None:
    """RAUC's configuration; None where there is no RAUC."""
    for path in (os.path.join(root, place) for place in RAUC):
        if os.path.exists(path):
            from flipside_bootctl import rauc_config

            return rauc_config.parse(_text(path))
    return None


def _present(root: str | os.PathLike[str]) -> list[str]:
    return [place for place in _OURS if _is_ours(place, os.path.join(root, place))]


def _is_ours(place: str, path: str) -> bool:
    """Whether a file is there; a loader.conf may be anybody's."""
    if place != SYSTEMD_BOOT or not os.path.isfile(path):
        return os.path.isfile(path)
    from flipside_bootctl import systemd_boot

    return systemd_boot.has_scheme(os.path.dirname(os.path.dirname(path)))


def _grub(script: str, _: str | os.PathLike[str]) -> Scheme:
    from flipside_bootctl.grub_counted import GrubCounted

    return GrubCounted(os.path.dirname(os.path.dirname(script)))


def _systemd_boot(loader: str, root: str | os.PathLike[str]) -> Scheme:
    from flipside_bootctl.slot_files import SlotMount
    from flipside_bootctl.systemd_boot import SystemdBoot

    efivars = os.path.join(root, "sys/firmware/efi/efivars")
    return SystemdBoot(os.path.dirname(os.path.dirname(loader)), SlotMount(root), efivars)


def _uboot(config: str, root: str | os.PathLike[str]) -> Scheme:
    """U-Boot's own counter where its environment uses that, else the counted scheme."""
    from flipside_bootctl import boot_order
    from flipside_bootctl.loader_environment import LoaderEnvironment

    storage = _environment(config, root)
    limit = _limit(storage)
    if not limit:
        return LoaderEnvironment(storage, boot_order)
    from flipside_bootctl.bootcount import Bootcount
    from flipside_bootctl.bootcount_storage import BootcountStorage

    counter = os.path.join(root, BOOTCOUNT)
    beside = BootcountStorage(storage, counter) if os.path.exists(counter) else storage
    return LoaderEnvironment(beside, Bootcount(limit))


def _environment(config: str, root: str | os.PathLike[str]) -> UbootStorage:
    from flipside_bootctl import fw_env_config
    from flipside_bootctl.uboot_storage import UbootStorage

    return UbootStorage(fw_env_config.parse(_text(config), config), root)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError as error:
        raise NoScheme(f"{path}: {error.strerror}, expected to read it") from error


def _limit(storage: UbootStorage) -> int:
    """After how many boots U-Boot itself gives up; 0 where it does not, or scripts count."""
    from flipside_bootctl.bootcount import number

    try:
        variables = storage.read()
    except DamagedState:
        return 0
    scripted = "BOOT_A_LEFT" in variables or "altbootcmd" not in variables
    return 0 if scripted else number(variables, "bootlimit")


def _raucs_uboot(root: str | os.PathLike[str], _: RaucConfig) -> Scheme:
    from flipside_bootctl import boot_order
    from flipside_bootctl.loader_environment import LoaderEnvironment

    return LoaderEnvironment(_environment(os.path.join(root, UBOOT), root), boot_order)


def _raucs_grub(root: str | os.PathLike[str], config: RaucConfig) -> Scheme:
    from flipside_bootctl.grub_environment import GrubEnvironment
    from flipside_bootctl.grub_stock import GrubStock
    from flipside_bootctl.loader_environment import LoaderEnvironment

    path = os.path.join(root, config.grubenv.lstrip("/"))
    return LoaderEnvironment(GrubEnvironment(path), GrubStock(config.bootnames()))


def _raucs_efi(root: str | os.PathLike[str], config: RaucConfig) -> Scheme:
    from flipside_bootctl.efi_native import FOR_GOOD, ONCE, EfiNative
    from flipside_bootctl.efivars import EfiVars

    capabilities = ONCE if config.bootnext else FOR_GOOD
    return EfiNative(EfiVars(root), config.bootnames(), capabilities)


_OURS: dict[str, Callable[[str, str | os.PathLike[str]], Scheme]] = {
    GRUB: _grub,
    SYSTEMD_BOOT: _systemd_boot,
    UBOOT: _uboot,
}
"""In the order in which they are looked for: what runs last decides what is booted."""
_RAUCS_OWN: dict[str, Callable[[str | os.PathLike[str], RaucConfig], Scheme]] = {
    "grub": _raucs_grub,
    "efi": _raucs_efi,
    "uboot": _raucs_uboot,
}
