"""The running system, as the boot loader described it on the kernel command line."""

from __future__ import annotations

import os


def kernel_arguments(root: str | os.PathLike[str]) -> dict[str, str]:
    """``name=value`` words of the kernel command line; of two with one name the last wins."""
    with open(os.path.join(root, "proc/cmdline")) as file:
        words = file.read().split()
    return dict(word.split("=", 1) for word in words if "=" in word)


def current_slot(root: str | os.PathLike[str]) -> str:
    """Bootname of the running slot; empty if the command line does not say."""
    return kernel_arguments(root).get("rauc.slot", "")
