"""The scheme of RAUC's own GRUB backend: ``ORDER``, ``x_OK`` and ``x_TRY``, and what they say.

RAUC, docs/integration.rst, "GRUB": the script boots the first slot of ``ORDER`` that is good and
not tried, and notes the try; marking it good takes the note back. There is one attempt, for
confirmed slots too, and nothing tells a slot on trial from a confirmed one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flipside_bootctl.errors import DamagedState
from flipside_bootctl.state import BAD, BootState, Capabilities, Slot

if TYPE_CHECKING:
    from collections.abc import Mapping

_CAPABILITIES = Capabilities(
    scheme="grub", trial_attempts=1, confirmed_attempts=1, confirm_every_boot=True
)


class GrubStock(NamedTuple):
    """The variables for slots of these bootnames."""

    names: tuple[str, ...]

    @property
    def CAPABILITIES(self) -> Capabilities:  # noqa: N802  # a module is a dialect too
        """One attempt, whatever the slot."""
        return _CAPABILITIES

    def to_variables(self, state: BootState) -> dict[str, str]:
        """The environment variables that say this state, as near as they can.

        ``ORDER`` comes last: it never names first what is not yet said to be good.
        """
        variables = {}
        for name in self.names:
            slot = state.slot(name)
            tried = slot.confirmed and not slot.left
            variables[f"{name}_OK"] = "1" if slot.left or tried else "0"
            variables[f"{name}_TRY"] = "1" if tried else "0"
        variables["ORDER"] = " ".join(state.order())
        return variables

    def from_variables(self, variables: Mapping[str, str]) -> BootState:
        """The state that these variables say; raises DamagedState where they make no sense."""
        text = variables.get("ORDER", "")
        order = [name for name in text.split() if name in self.names]
        if not order:
            raise DamagedState(f"boot state: ORDER is {text!r}, expected {' or '.join(self.names)}")
        return BootState(order[0], {name: _slot(variables, name, order) for name in self.names})

    def at_first(self) -> BootState:
        """Without variables the script finds no slot that is good."""
        return BootState(self.names[0], dict.fromkeys(self.names, BAD))


def _slot(variables: Mapping[str, str], name: str, order: list[str]) -> Slot:
    good, tried = (_number(variables, f"{name}_{word}") for word in ("OK", "TRY"))
    if name not in order or good != 1:
        return BAD
    return Slot(left=0 if tried else 1, confirmed=True)


def _number(variables: Mapping[str, str], name: str) -> int:
    word = variables.get(name, "0")
    if not (word.isascii() and word.isdecimal()):
        raise DamagedState(f"boot state: {name} is {word!r}, expected a number")
    return int(word)
