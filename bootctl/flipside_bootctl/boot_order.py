"""The counted scheme of U-Boot: boot states as environment variables, and back.

``BOOT_ORDER`` and ``BOOT_x_LEFT`` are RAUC's variables, which its own ``uboot`` backend, the boot
scripts that everybody has, and U-Boot's ``bootmeth_rauc`` read (RAUC, docs/integration.rst; U-Boot,
doc/develop/bootstd/rauc.rst). Counters are one decimal digit, because RAUC reads them as
hexadecimal and bootmeth_rauc as decimal. A bad slot stays in the order with no attempts: RAUC's own
backend takes it out, and only an installation brings it back. ``BOOT_x_CONFIRMED`` is ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flipside_bootctl.errors import DamagedState
from flipside_bootctl.state import BAD, BootState, Capabilities, Slot

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = ("A", "B")
CAPABILITIES = Capabilities(
    scheme="uboot-counted", trial_attempts=3, confirmed_attempts=9, confirm_every_boot=True
)
_DIGITS = "0123456789"


def to_variables(state: BootState) -> dict[str, str]:
    """The environment variables that say this state."""
    variables = {"BOOT_ORDER": " ".join(state.order())}
    for name in NAMES:
        slot = state.slot(name)
        variables[f"BOOT_{name}_LEFT"] = str(slot.left)
        variables[f"BOOT_{name}_CONFIRMED"] = "1" if slot.confirmed else "0"
    return variables


def from_variables(variables: Mapping[str, str]) -> BootState:
    """The state that these variables say; raises DamagedState where they make no sense."""
    text = variables.get("BOOT_ORDER", "")
    order = [name for name in text.split() if name in NAMES]
    if not order:
        raise DamagedState(f"boot state: BOOT_ORDER is {text!r}, expected A or B in it")
    slots = {name: _slot(variables, name) if name in order else BAD for name in NAMES}
    return BootState(order[0], slots)


def at_first() -> BootState:
    """What boot scripts take where there are no variables: both slots, A first, on trial."""
    return BootState("A", dict.fromkeys(NAMES, Slot(CAPABILITIES.trial_attempts, confirmed=False)))


def _slot(variables: Mapping[str, str], name: str) -> Slot:
    left = variables.get(f"BOOT_{name}_LEFT", "")
    if len(left) != 1 or left not in _DIGITS:
        raise DamagedState(f"boot state: BOOT_{name}_LEFT is {left!r}, expected one digit")
    # RAUC's own backend confirms by giving attempts, and says nothing more.
    confirmed = variables.get(f"BOOT_{name}_CONFIRMED", "0" if left == "0" else "1")
    return Slot(int(left), confirmed == "1")
