"""Where the files of the virtual device are kept, and the list of its kernel modules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flipside_qemu.errors import HostError

REPOSITORY = Path(__file__).resolve().parents[2]
IMAGES = REPOSITORY / "qemu" / "images"


@dataclass(frozen=True, slots=True)
class Module:
    """A kernel module of the device."""

    name: str
    early: bool
    """Loaded by the initramfs in every boot, not when something asks for it."""


def text(path: Path) -> str:
    """Content of one of the repository's files; raises HostError if it is missing."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise HostError(
            f"{path}: {error.strerror}, expected a file of Flipside's repository; run from a clone"
        ) from error


def modules(lines: str) -> Sequence[Module]:
    """The modules that ``qemu/images/modules`` lists: a name, perhaps "early", a remark."""
    found = []
    for line in lines.splitlines():
        words = line.split()
        if words and not words[0].startswith("#"):
            found.append(Module(words[0], words[1:2] == ["early"]))
    return found
