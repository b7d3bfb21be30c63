"""RAUC's ``system.conf``, as far as it tells how this machine boots.

Format: GLib's key files; keys: RAUC, docs/reference.rst, "System Configuration File".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flipside_bootctl.errors import NoScheme, UnknownSlot

if TYPE_CHECKING:
    from collections.abc import Mapping


class RaucConfig(NamedTuple):
    """What RAUC was told."""

    bootloader: str
    grubenv: str
    bootnext: bool
    """Whether ``bootloader=efi`` tries a new slot once, which is its default."""
    slots: Mapping[str, str]
    """RAUC's name of each slot that can be booted, by its bootname."""

    def marks(self) -> bool:
        """Whether RAUC's marks reach a boot loader at all."""
        return self.bootloader not in ("", "noop")

    def bootnames(self) -> tuple[str, ...]:
        """All of them; raises NoScheme where there is none to boot."""
        if not self.slots:
            raise NoScheme("RAUC's system.conf has no slot with a bootname, expected two")
        return tuple(sorted(self.slots))

    def slot(self, bootname: str) -> str:
        """RAUC's name of a slot, such as ``rootfs.0``."""
        try:
            return self.slots[bootname]
        except KeyError:
            names = " or ".join(sorted(self.slots)) or "one that has a bootname"
            raise UnknownSlot(
                f"{bootname!r} is not a slot of RAUC's system.conf, expected {names}"
            ) from None


def parse(text: str) -> RaucConfig:
    """What a ``system.conf`` says; what it does not say, or wrongly, is as RAUC's default."""
    system: dict[str, str] = {}
    slots: dict[str, str] = {}
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or line.startswith("#"):
            continue
        if section == "system":
            system[name] = value
        elif section.startswith("slot.") and name == "bootname":
            slots[value] = section.removeprefix("slot.")
    return RaucConfig(
        system.get("bootloader", ""),
        system.get("grubenv", "/boot/grub/grubenv"),
        system.get("efi-use-bootnext", "true") not in ("false", "0"),
        slots,
    )
