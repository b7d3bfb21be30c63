"""systemd-boot 257 as it was measured, and the firmware that starts it: the other party.

It lists the entries, sorts them, takes one attempt from the first by renaming it, and starts its
kernel. A kernel that cannot be loaded drops out to the firmware, which starts it again as often as
it has boot entries for it; unless there was an initrd to be loaded before it: then it all crashes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cmp_to_key

Tree = dict[str, bytes]
"""The partition, by path."""
ENTRIES = "loader/entries/"
_COUNTER = re.compile(r"(?P<stem>.*)\+(?P<left>\d+)(?:-(?P<done>\d+))?\.conf")
_KINDS = "-.a0"
"""What makes up an identity, from the oldest to the newest; its end is older than all."""


@dataclass(frozen=True)
class Listed:
    """One line of the menu that nobody sees."""

    file: str
    identity: str
    left: int
    """Attempts left; -1 without a counter."""
    done: int
    keys: Mapping[str, str] = field(hash=False)

    @property
    def slot(self) -> str:
        """What the kernel is told to be the slot."""
        return next((word[10:] for word in self._words if word.startswith("rauc.slot=")), "")

    @property
    def trial(self) -> bool:
        """Whether the kernel is told that this is a trial."""
        return "flipside.trial=1" in self._words

    @property
    def images(self) -> list[str]:
        """Paths of what is loaded, the kernel first."""
        named = [self.keys[key] for key in ("linux", "initrd") if key in self.keys]
        words = [word[7:] for word in self._words if word.startswith("initrd=")]
        return [path.replace("\\", "/").lstrip("/") for path in (*named, *words)]

    @property
    def _words(self) -> list[str]:
        return self.keys.get("options", "").split()

    def after_a_try(self) -> str:
        """The name that it gets when it is booted."""
        if self.left < 0:
            return self.file
        done = min(self.done + 1, 2**31 - 1)
        return f"{self.identity[:-5]}+{max(self.left - 1, 0)}-{done}.conf"


@dataclass(frozen=True)
class Started:
    """A kernel that runs."""

    slot: str
    trial: bool
    entry: str
    """The entry that it was started by, under its new name."""
    image: bytes


@dataclass
class Firmware:
    """A machine: its partition, its variables, and the images that are whole."""

    tree: Tree
    whole: Collection[bytes]
    variables: dict[str, str] = field(default_factory=dict)
    boot_entries: int = 4
    renames_are_torn: bool = False
    """The directory's sector is full: a rename takes the old name away and brings no new one."""

    def boot(self) -> Started | None:
        """Switch it on; what runs then, or nothing but the firmware's shell."""
        for _ in range(self.boot_entries):
            if chosen := self.choose():
                self._count(chosen)
                if started := self._start(chosen):
                    return started
                if "initrd" in chosen.keys:
                    return None  # measured with 257.13 on OVMF
        return None

    def panics(self, times: int = 1) -> list[str]:
        """Boots that end in a panic, one after the other; the slots that were started."""
        started = [self.boot() for _ in range(times)]
        return [one.slot for one in started if one]

    def choose(self) -> Listed | None:
        """The entry that is booted."""
        listed = self.listed()
        pattern = self.variables.pop("LoaderEntryOneShot", "")
        patterns = [pattern, self.variables.get("LoaderEntryDefault", ""), self._default()]
        for pattern in patterns:
            for one in listed if pattern else ():
                if fnmatchcase(one.identity, pattern.lower()):
                    return one
        return listed[0] if listed else None

    def listed(self) -> list[Listed]:
        """Its entries in its order."""
        files = [path.removeprefix(ENTRIES) for path in self.tree if path.startswith(ENTRIES)]
        listed = [self._listed(file) for file in files if file.lower().endswith(".conf")]
        return sorted((one for one in listed if one), key=cmp_to_key(_order))

    def _listed(self, file: str) -> Listed | None:
        keys = _keys(self.tree[ENTRIES + file])
        kernel = (keys.get("linux") or keys.get("efi") or "").lstrip("/")
        if kernel not in self.tree:
            return None
        counted = _COUNTER.fullmatch(file)
        if not counted:
            return Listed(file, file.lower(), -1, -1, keys)
        done = int(counted["done"] or 0)
        return Listed(file, f"{counted['stem']}.conf", int(counted["left"]), done, keys)

    def _count(self, chosen: Listed) -> None:
        text = self.tree.pop(ENTRIES + chosen.file)
        if not self.renames_are_torn:
            self.tree[ENTRIES + chosen.after_a_try()] = text

    def _start(self, chosen: Listed) -> Started | None:
        images = [self.tree.get(path, b"") for path in chosen.images]
        if any(image not in self.whole for image in images):
            return None
        return Started(chosen.slot, chosen.trial, chosen.after_a_try(), images[0])

    def _default(self) -> str:
        return _keys(self.tree.get("loader/loader.conf", b"")).get("default", "")


def _order(one: Listed, other: Listed) -> int:
    if (one.left == 0) != (other.left == 0):
        return 1 if one.left == 0 else -1
    if ("sort-key" in one.keys) != ("sort-key" in other.keys):
        return -1 if "sort-key" in one.keys else 1
    for key in ("sort-key", "machine-id") if "sort-key" in one.keys else ():
        if one.keys.get(key, "") != other.keys.get(key, ""):
            return -1 if one.keys.get(key, "") < other.keys.get(key, "") else 1
    ages = [(age(one.identity), age(other.identity))]
    if "sort-key" in one.keys:
        ages.insert(0, (age(one.keys.get("version", "")), age(other.keys.get("version", ""))))
    for mine, theirs in ages:
        if mine != theirs:
            return -1 if mine > theirs else 1
    if -1 in (one.left, other.left):
        return 0
    return -1 if (-one.left, one.done) < (-other.left, other.done) else 1


def age(text: str) -> list[tuple[int, int, str]]:
    """How new a version or an identity of plain words, numbers, dots and single hyphens is."""
    pieces = re.findall(r"\d+|[A-Za-z]+|[-.]", text)
    aged = []
    for piece in pieces:
        kind = "0" if piece.isdigit() else "a" if piece.isalpha() else piece
        number = int(piece) if kind == "0" else 0
        aged.append((_KINDS.index(kind), number, piece if kind == "a" else ""))
    return aged


def _keys(text: bytes) -> dict[str, str]:
    keys: dict[str, str] = {}
    for line in text.decode(errors="replace").splitlines():
        key, _, value = line.strip().partition(" ")
        if key and value and not key.startswith("#"):
            before = f"{keys[key]} " if key == "options" and key in keys else ""
            keys[key] = before + value.strip()
    return keys
