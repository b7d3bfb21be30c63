"""Where each kind of device keeps its boot state, and what comes up when that is lost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BootFiles:
    """The files of a boot scheme once slot B is confirmed, as patterns of the shell."""

    counting: str
    """What the boot loader counts in."""
    fallback: str = ""
    """What it takes when it cannot read that; empty if there is no such thing."""
    told: str = ""
    """What is said of a damaged one, a regular expression with ``{path}`` and ``{name}`` in it.
    Empty where damage is gone before the system is up: U-Boot writes what it counts in anew at
    every boot, whole, and nobody sees what was there before."""
    as_made: str = "true"
    """A command that fails unless the files look as they did at first."""


_GRUB = "/efi/flipside/boot.env", "/efi/flipside/commit.env"
_FULL = "".join(
    f'[ "$(stat -c %s {file})" = 1024 ] && [ -z "$(tail -c 512 {file} | tr -d "#")" ] && '
    for file in _GRUB
)
BOOT_FILES = {
    "qemu-x86_64": BootFiles(*_GRUB, told="{path}", as_made=f"{_FULL}true"),
    "qemu-arm64": BootFiles("/efi/flipside/uboot.env"),
    "qemu-arm64-redundant": BootFiles("/efi/uboot.env", "/efi/uboot-redund.env"),
    "qemu-x86_64-systemd-boot": BootFiles(
        "/efi/loader/entries/flipside-*-b+*.conf",
        "/efi/loader/entries/flipside-0-b.conf",
        told="({name}|loader/entries: no )",
    ),
}
"""By the name with which the kind of device is chosen."""
