"""This boot, as the boot loader and the kernel describe it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Boot:
    """One start of the kernel, from one slot."""

    id: str
    """The kernel's ``boot_id``. It outlives a restart of the agent, not one of the device."""
    slot: str
    """Bootname of the slot that the kernel came from."""
    other: str
    """Bootname of the slot that an update may be written to."""
    trial: bool
    """The boot loader gave this slot a trial: nobody has confirmed what is in it."""
    counted: bool
    """The scheme counts every boot, so this one is to be confirmed even if it is no trial."""
    damage: str = ""
    """What of the boot loader's state could not be read, in one sentence; empty if all could."""
    version: str = ""
    """Of the image that runs; empty if it does not say."""
