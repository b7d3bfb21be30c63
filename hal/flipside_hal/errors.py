"""What can go wrong with a board."""

from __future__ import annotations


class BoardError(Exception):
    """Root of everything the hardware abstraction raises on purpose."""


class UnknownBoard(BoardError):
    """This machine is none of the boards that are supported."""


class NoBootSlot(BoardError):
    """The boot loader did not say which slot it started."""
