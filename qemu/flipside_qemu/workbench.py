"""What every builder needs: the cache, the tools, and somebody to tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flipside_qemu import toolbox
from flipside_qemu.cache import Cache, Say, default_directory
from flipside_qemu.toolbox import Toolbox


@dataclass(frozen=True, slots=True)
class Workbench:
    """A place to build images in."""

    cache: Cache
    toolbox: Toolbox

    @property
    def say(self) -> Say:
        """Takes one line about long work."""
        return self.cache.say


def equip(say: Say, directory: Path | None = None) -> Workbench:
    """A bench with a filled toolbox; the first time on a machine that takes a while."""
    cache = Cache(directory or default_directory(), say)
    return Workbench(cache, toolbox.build(cache))
