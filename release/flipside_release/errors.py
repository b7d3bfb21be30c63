"""What can go wrong at the release desk, by whom it is to be blamed.

Our own bugs are outside every family and are never caught.
Every message is one sentence: what, where, what was expected, what to do.
"""

from __future__ import annotations

from typing import ClassVar


class ReleaseError(Exception):
    """Root of everything the release desk raises on purpose."""

    exit_code: ClassVar[int] = 1
    """What `flipside` exits with; 1 itself is left to our own bugs."""


class OperatorError(ReleaseError):
    """The operator is at fault: an argument, a passphrase, a key that may not sign."""

    exit_code = 2


class WorkstationError(ReleaseError):
    """The machine is at fault: a missing program, a full disk, a file that cannot be read."""

    exit_code = 3


class BundleError(ReleaseError):
    """The bundle is at fault: not a bundle, of another format, or damaged."""

    exit_code = 4
