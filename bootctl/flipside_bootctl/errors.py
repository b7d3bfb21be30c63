"""What can go wrong with boot state, by whom it is to be blamed."""

from __future__ import annotations


class BootControlError(Exception):
    """Root of everything boot control raises on purpose."""


class DamagedState(BootControlError):
    """The stored boot state cannot be read: torn, emptied, or not ours."""


class StateWithheld(BootControlError):
    """The stored boot state is there, and this user may not read it."""


class NothingBootable(BootControlError):
    """No slot has attempts left."""


class UnknownSlot(BootControlError):
    """A bootname that this scheme does not have."""


class StateNotStored(BootControlError):
    """The boot state could not be written."""


class StateLocked(StateNotStored):
    """Somebody else is at the boot state; nothing of it was written."""


class NoScheme(BootControlError):
    """This machine has no boot scheme that is known here."""


class RaucRefused(BootControlError):
    """RAUC, which writes the boot state of this machine, did not mark a slot."""


class Usage(BootControlError):
    """The command line is not one of ours."""


class SlotUnreadable(BootControlError):
    """A slot whose kernel is to be booted cannot be looked into."""
