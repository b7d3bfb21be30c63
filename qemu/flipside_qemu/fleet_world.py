"""The world of a model device: two slots, what is in them, and a boot loader that counts.

Pure: a function gets the world and gives back the world that follows. The boot state is the real
one of :mod:`flipside_bootctl`, counted as ``bootctl/grub/grub.cfg`` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from flipside_agent.boot import Boot
from flipside_bootctl import state as boots
from flipside_bootctl.state import BAD, BootState, Capabilities
from flipside_qemu.fleet_fate import Fate

COUNTED: Final = Capabilities("counted", 3, 9, confirm_every_boot=True)
"""Three attempts on trial, nine when confirmed (docs/adr/0005-counted-grub-environment.md)."""

SLOTS: Final = ("A", "B")


@dataclass(frozen=True, slots=True)
class Image:
    """What is in a slot."""

    version: str
    manifest_hash: str = ""
    fate: Fate = Fate.GOOD


NOTHING: Final = Image("")
"""In a slot that was never written, or not to its end."""


@dataclass(frozen=True, slots=True)
class World:
    """What of a device outlives a power cut, and which slot it runs from."""

    loader: BootState
    images: Mapping[str, Image]
    """By bootname."""
    booted: str
    trial: bool = False
    starts: int = 0
    """How often the device was started, counting the starts that came to nothing."""

    @property
    def running(self) -> Image:
        """What runs."""
        return self.images[self.booted]

    @property
    def confirmed(self) -> bool:
        """Whether what runs was marked good."""
        return self.loader.slot(self.booted).confirmed


def fresh(version: str) -> World:
    """A device as it leaves the factory: one slot filled and confirmed, the other empty; off."""
    good = boots.Slot(COUNTED.confirmed_attempts, confirmed=True)
    loader = BootState(SLOTS[0], {SLOTS[0]: good, SLOTS[1]: BAD})
    return World(loader, {SLOTS[0]: Image(version), SLOTS[1]: NOTHING}, booted=SLOTS[0])


def started(world: World) -> World:
    """The world once something has come up: each start costs the slot that was tried one."""
    loader, starts = world.loader, world.starts
    while True:
        name = loader.next_slot()
        slot = loader.slot(name)
        loader = loader.with_slot(name, slot._replace(left=slot.left - 1))
        starts += 1
        if world.images[name].fate is not Fate.DEAD:
            trial = not slot.confirmed
            return replace(world, loader=loader, booted=name, trial=trial, starts=starts)


def boot(world: World) -> Boot:
    """This start, as the agent is told of it."""
    other = next(name for name in SLOTS if name != world.booted)
    return Boot(
        id=f"start {world.starts}",
        slot=world.booted,
        other=other,
        trial=world.trial,
        counted=COUNTED.confirm_every_boot,
        version=world.running.version,
    )


def begun(world: World, slot: str) -> World:
    """RAUC marks a slot bad before it writes the first byte to it."""
    loader = boots.mark_bad(world.loader, slot)
    return replace(world, loader=loader, images={**world.images, slot: NOTHING})


def written(world: World, slot: str, image: Image) -> World:
    """The slot holds the whole image."""
    return replace(world, images={**world.images, slot: image})


def activated(world: World, slot: str) -> World:
    """The slot is the next one to boot."""
    return replace(world, loader=boots.select(world.loader, slot, COUNTED))


def marked_good(world: World) -> World:
    """The running slot is confirmed."""
    return replace(world, loader=boots.mark_good(world.loader, world.booted, COUNTED))


def marked_bad(world: World, slot: str) -> World:
    """The slot is not booted any more."""
    return replace(world, loader=boots.mark_bad(world.loader, slot))
