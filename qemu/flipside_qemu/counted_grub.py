"""A model of ``bootctl/grub/grub.cfg``: what that script starts, told from the files it reads."""

from __future__ import annotations

from collections.abc import Mapping

from flipside_bootctl.errors import DamagedState
from flipside_bootctl.grubenv import decode
from flipside_qemu.aftermath import Attempt

STATES = "flipside/boot.env"
COMMITS = "flipside/commit.env"


class CountedGrub:
    """Counts attempts, and falls back on the committed slot."""

    def changes(self, name: str) -> bool:
        """Whether this is one of its two files."""
        return name in (STATES, COMMITS)

    def can_load(self, slot: str, files: Mapping[str, bytes]) -> bool:
        """It takes kernels from the slots."""
        return True

    def attempts(self, files: Mapping[str, bytes]) -> tuple[Attempt, ...]:
        """The slots with attempts left, the primary one first; at last the committed one."""
        seen = _variables(files, STATES)
        order = {"A": "AB", "B": "BA"}.get(seen.get("primary", ""), "")
        counted = [
            Attempt(slot, trial=seen.get(f"{slot}_confirmed") != "1")
            for slot in order
            if seen.get(f"{slot}_left", "") in tuple("123456789")
        ]
        return (*counted, Attempt(self.committed(files), trial=False))

    def committed(self, files: Mapping[str, bytes]) -> str:
        """What the script takes for the committed slot: A, unless it reads B."""
        return "B" if _variables(files, COMMITS).get("committed") == "B" else "A"


def _variables(files: Mapping[str, bytes], name: str) -> dict[str, str]:
    """The variables of an environment; none if the boot loader cannot read it."""
    try:
        return decode(files.get(name, b""))
    except DamagedState:
        return {}
