"""The running system, as the boot loader described it on the kernel command line."""

from __future__ import annotations

import os

COMMAND_LINE = "proc/cmdline"


def kernel_arguments(root: str | os.PathLike[str]) -> dict[str, str]:
    """``name=value`` words of the kernel command line; of two with one name the last wins.

    There are none where it cannot be read, as in a ``chroot`` without ``/proc``.
    """
    try:
        with open(os.path.join(root, COMMAND_LINE), encoding="utf-8", errors="replace") as file:
            words = file.read().split()
    except OSError:
        return {}
    return dict(word.split("=", 1) for word in words if "=" in word)


def current_slot(root: str | os.PathLike[str]) -> str:
    """Bootname of the running slot; empty if the kernel command line does not say."""
    return kernel_arguments(root).get("rauc.slot", "")
