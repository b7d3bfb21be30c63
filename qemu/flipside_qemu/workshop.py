"""Makes everything the demo and the tests ship: keys, images with their flaws, signed bundles.

Only commands of the other rooms are used here, as their users use them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flipside_qemu import disk, faults, image, rootfs
from flipside_qemu.board import QEMU_X86_64, Board
from flipside_qemu.cache import key_of
from flipside_qemu.disk import Disk
from flipside_qemu.errors import HostError
from flipside_qemu.image import Image
from flipside_qemu.rootfs import RootFs
from flipside_qemu.story import Chapter, Flaw
from flipside_qemu.tree import File, Layer
from flipside_qemu.workbench import Workbench

NAME = "flipside-demo"
"""Name of the distribution set that is shipped."""
TARGET = "unit-1"
"""Controller id of the device."""
_POLICY = """\
# The policy of the demonstration device. Its server and its name are in /data/flipside/device.toml.
[health]
units = ["dbus.service"]
deadline = 120
retries = 1
pause = 2
"""
_TALK = "[Service]\nStandardError=journal+console\n"
_HURRY = "[Timer]\nOnBootSec=\nOnBootSec=4min\n"
_UNITS = "usr/lib/systemd/system"
SHOWN: Layer = {
    "etc/flipside/agent.toml": File(_POLICY.encode()),
    f"{_UNITS}/flipside-agent.service.d/talk.conf": File(_TALK.encode()),
    f"{_UNITS}/flipside-trial.timer.d/hurry.conf": File(_HURRY.encode()),
}
"""What is laid into images that somebody watches: an agent that talks on the console, and a short
deadline for trials."""
_COMMAND = (sys.executable, "-m", "flipside_release")
FORGER = "forger"
"""Whom no device trusts."""
OWNER = "owner"
"""Whose bundles devices take."""


@dataclass(frozen=True, slots=True)
class ShippedBundle:
    """A signed bundle on the shelf."""

    path: Path
    manifest_hash: str
    """As the release desk printed it."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """Builds what is not in the cache yet."""

    bench: Workbench
    rootfs: RootFs
    files: Layer = field(default_factory=dict)
    """Laid into every image: configuration."""

    @property
    def board(self) -> Board:
        """What the devices are."""
        return self.rootfs.board

    def keyring(self) -> bytes:
        """The certificates that devices trust."""
        return (self.keys() / "keyring.pem").read_bytes()

    def disk(self, version: str, directory: Path, provision: Mapping[str, bytes]) -> Disk:
        """A new device's disk that runs a good version from slot A."""
        slot = self._image(version, {})
        return disk.build(self.bench, slot, directory, provision=provision, board=self.board)

    def bundle(self, chapter: Chapter) -> ShippedBundle:
        """The bundle of a chapter, with its flaw."""
        signer = FORGER if chapter.flaw is Flaw.FORGED else OWNER
        return self.ship(chapter.version, flaw_layer(chapter.flaw), signer)

    def ship(self, version: str, flaw: Layer, signer: str = OWNER) -> ShippedBundle:
        """A signed bundle of an image with these files laid over everything else."""
        content = self._image(version, flaw)
        keys = self.keys(signer)
        key = key_of(version, content.parent.name, (keys / "keyring.pem").read_bytes())

        def make(place: Path) -> None:
            self.bench.say(f"packing and signing version {version}")
            self._pack(content, version, keys, place)

        place = self.bench.cache.entry("bundle", key, 24, make)
        facts = json.loads((place / "facts.json").read_text())
        return ShippedBundle(place / "bundle.raucb", facts["manifest_hash"], facts["size"])

    def _image(self, version: str, flaw: Layer) -> Path:
        wanted = Image(version, self.keyring(), {**self.files, **flaw})
        return image.build(self.bench, self.rootfs, wanted)

    def keys(self, owner: str = OWNER) -> Path:
        """A directory of signing keys; they are for virtual devices only and not encrypted."""

        def make(place: Path) -> None:
            self.bench.say(f"making signing keys of the {owner}")
            _run([*_COMMAND, "keys", "init", str(place / "keys"), "--unencrypted"])

        return self.bench.cache.entry(f"keys-{owner}", "1", 1, make) / "keys"

    def _pack(self, content: Path, version: str, keys: Path, place: Path) -> None:
        output, compatible = place / "bundle.raucb", self.board.compatible
        command = [*_COMMAND, "bundle", str(content), "--keys", str(keys), "--output", str(output)]
        facts = _run([*command, "--compatible", compatible, "--version", version, "--json"])
        (place / "facts.json").write_text(facts)


def equip(
    bench: Workbench,
    suite: str = "trixie",
    files: Layer = SHOWN,
    board: Board = QEMU_X86_64,
) -> Workshop:
    """A workshop for devices of one kind with a Debian suite."""
    return Workshop(bench, rootfs.build(bench.cache, suite, board), files)


def flaw_layer(flaw: Flaw) -> Layer:
    """The files that give an image its flaw."""
    match flaw:
        case Flaw.PANIC:
            return faults.kernel_panic()
        case Flaw.SICK:
            return faults.failing_check("pump-answers", "the pump does not answer")
        case Flaw.AGENTLESS:
            return faults.broken_agent()
        case Flaw.NONE | Flaw.FORGED:
            return {}


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HostError(f"{' '.join(command[2:5])} failed: {done.stderr.strip()}")
    return done.stdout
