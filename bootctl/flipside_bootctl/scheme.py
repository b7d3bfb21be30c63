"""The protocol that every boot scheme speaks, and which scheme this machine has."""

from __future__ import annotations

import os
from typing import Protocol

from flipside_bootctl.errors import NoScheme
from flipside_bootctl.grub_counted import DIRECTORY, GrubCounted
from flipside_bootctl.state import BootState, Capabilities


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
    """The scheme of the machine whose file system starts at ``root``."""
    esp = os.path.join(root, "efi")
    directory = os.path.join(esp, DIRECTORY)
    if os.path.isfile(os.path.join(directory, "grub.cfg")):
        return GrubCounted(esp)
    raise NoScheme(
        f"{directory}: no grub.cfg of Flipside there, expected the EFI system partition "
        f"to be mounted at {esp}"
    )
