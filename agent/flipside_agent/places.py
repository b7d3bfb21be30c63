"""Where the agent finds things on a device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """Files of the agent."""

    policy: Path = Path("/etc/flipside/agent.toml")
    """Part of the image, the same on every device."""
    device: Path = Path("/data/flipside/device.toml")
    """This device's identity and credentials; survives a flip."""
    journal: Path = Path("/data/flipside/journal")
    """The update that is under way, and the one before it."""
    history: Path = Path("/data/flipside/history")
    """The updates that have ended."""


USUAL = Places()
