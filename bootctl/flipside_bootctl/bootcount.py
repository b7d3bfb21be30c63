"""The scheme of U-Boot's own boot counter: boot states as environment variables, and back.

U-Boot counts in ``bootcount`` while ``upgrade_available`` is set; beyond ``bootlimit`` it runs
``altbootcmd`` in place of ``bootcmd`` (U-Boot, doc/api/bootcount.rst). Here ``BOOT_ORDER`` says
what these two boot: the first slot that it names, and the last (bootctl/uboot/bootcount.env).
A bad slot is not in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flipside_bootctl.errors import DamagedState, NothingBootable
from flipside_bootctl.state import BAD, BootState, Capabilities, Slot, confirmed

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = ("A", "B")
_CAPABILITIES = Capabilities(
    scheme="uboot-bootcount", trial_attempts=3, confirmed_attempts=0, confirm_every_boot=False
)


class Bootcount(NamedTuple):
    """The variables for a loader that gives up after so many boots."""

    limit: int

    @property
    def CAPABILITIES(self) -> Capabilities:  # noqa: N802  # a module is a dialect too
        """So many boots on trial; a confirmed slot is not counted."""
        return _CAPABILITIES._replace(trial_attempts=self.limit)

    def to_variables(self, state: BootState) -> dict[str, str]:
        """The environment variables that say this state; raises NothingBootable."""
        order = [name for name in state.order() if state.slot(name) != BAD]
        if not order:
            raise NothingBootable("no slot would be left to boot, expected one that may")
        first = state.slot(order[0])
        count = 0 if first.confirmed else max(self.limit - first.left, 0)
        return {
            "BOOT_ORDER": " ".join(order),
            "upgrade_available": "0" if first.confirmed else "1",
            "bootcount": str(count),
        }

    def from_variables(self, variables: Mapping[str, str]) -> BootState:
        """The state that these variables say; raises DamagedState where they make no sense."""
        text = variables.get("BOOT_ORDER", "")
        order = [name for name in text.split() if name in NAMES]
        if not order:
            raise DamagedState(f"boot state: BOOT_ORDER is {text!r}, expected A or B in it")
        good = confirmed(_CAPABILITIES)
        slots = {name: good if name in order else BAD for name in NAMES}
        if number(variables, "upgrade_available"):
            left = max(self.limit - number(variables, "bootcount"), 0)
            slots[order[0]] = Slot(left, confirmed=False)
        return BootState(order[0], slots)

    def at_first(self) -> BootState:
        """What ``bootcmd`` takes where there are no variables: slot A, and no other."""
        return BootState("A", {"A": confirmed(_CAPABILITIES), "B": BAD})


def number(variables: Mapping[str, str], name: str) -> int:
    """A variable as U-Boot reads it: the digits that it begins with, else 0."""
    word = variables.get(name, "")
    digits = word[: len(word) - len(word.lstrip("0123456789"))]
    return int(digits[:9] or "0")
