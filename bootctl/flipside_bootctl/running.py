"""The running system, as the boot loader described it on the kernel command line."""

from __future__ import annotations

from pathlib import Path


def kernel_arguments(root: Path) -> dict[str, str]:
    """``name=value`` words of the kernel command line; of two with one name the last wins."""
    words = (root / "proc/cmdline").read_text().split()
    return dict(word.split("=", 1) for word in words if "=" in word)


def current_slot(root: Path) -> str:
    """Bootname of the running slot; empty if the command line does not say."""
    return kernel_arguments(root).get("rauc.slot", "")
