"""The counted scheme of the GRUB device: boot states as environment variables, and back.

``bootctl/grub/grub.cfg`` is the other party: it reads these variables, takes one attempt from the
slot that it boots, and writes that one variable back. GRUB script has no arithmetic, so a counter
is one decimal digit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flipside_bootctl.errors import DamagedState
from flipside_bootctl.state import BAD, BootState, Capabilities, Slot

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = ("A", "B")
CAPABILITIES = Capabilities(
    scheme="grub-counted", trial_attempts=3, confirmed_attempts=9, confirm_every_boot=True
)
_DIGITS = "0123456789"


def to_variables(state: BootState) -> dict[str, str]:
    """The environment variables that say this state."""
    variables = {"primary": state.primary}
    for name in NAMES:
        slot = state.slot(name)
        variables[f"{name}_left"] = str(slot.left)
        variables[f"{name}_confirmed"] = "1" if slot.confirmed else "0"
    return variables


def from_variables(variables: Mapping[str, str]) -> BootState:
    """The state that these variables say; raises DamagedState where they make no sense."""
    primary = variables.get("primary", "")
    if primary not in NAMES:
        raise DamagedState(f"boot state: primary is {primary!r}, expected A or B")
    return BootState(primary, {name: _slot(variables, name) for name in NAMES})


def rebuilt(committed: str) -> BootState:
    """The state to start from when none can be read: only the committed slot, confirmed."""
    slots = dict.fromkeys(NAMES, BAD)
    slots[committed] = Slot(left=CAPABILITIES.confirmed_attempts, confirmed=True)
    return BootState(committed, slots)


def _slot(variables: Mapping[str, str], name: str) -> Slot:
    left = variables.get(f"{name}_left", "")
    confirmed = variables.get(f"{name}_confirmed", "")
    if len(left) != 1 or left not in _DIGITS:
        raise DamagedState(f"boot state: {name}_left is {left!r}, expected one digit")
    if confirmed not in ("0", "1"):
        raise DamagedState(f"boot state: {name}_confirmed is {confirmed!r}, expected 0 or 1")
    return Slot(int(left), confirmed == "1")
