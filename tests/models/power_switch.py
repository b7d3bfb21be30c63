"""The power switch of a world: what lasts changes only through it, and may be left in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from flipside_agent.errors import DeviceError
from flipside_bootctl.state import BootState
from models.lasting import Image, Lasting, Running
from models.scenario import FOREVER, Broken, Scenario


@dataclass(frozen=True, slots=True)
class Cut:
    """A moment at which the power fails or the agent dies, and what is left then."""

    where: str
    left: Lasting
    running: Running | None


class PowerFailure(BaseException):
    """The power fails for real, in the middle of everything."""


@dataclass(slots=True)
class PowerSwitch:
    """Notes at each effect what a power cut would leave, and what the death of the agent would."""

    scenario: Scenario
    now: Lasting
    noting: bool = True
    running: Running | None = None
    """The boot that is going on; a power cut ends it, the death of the agent does not."""
    fails_at: int | None = None
    """Number of the cut at which the power is not only said to fail."""
    cuts: list[Cut] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)

    @property
    def here(self) -> Running:
        """The boot that is going on, asked by somebody who runs in it."""
        assert self.running is not None
        return self.running

    def effect(self, name: str, change: Callable[[Lasting], Lasting]) -> None:
        """Change what lasts; the power may fail, or the agent die, just before."""
        self.cut(f"before {name}")
        self.set(change(self.now))
        self.trace.append(name)

    def cut(self, where: str) -> None:
        """Note what a power cut would leave here, and the death of the agent."""
        if not self.noting:
            return
        self._note(Cut(where, self.now, None))
        if self.running:
            self._note(Cut(f"{where}, agent dies", self.now, self.running))

    def cut_within(self, where: str, tear: Callable[[Lasting], Lasting]) -> None:
        """Note what a power cut in the middle of an effect would leave."""
        if self.noting:
            self._note(Cut(f"within {where}", tear(self.now), None))

    def _note(self, cut: Cut) -> None:
        self.cuts.append(cut)
        if len(self.cuts) - 1 == self.fails_at:
            self.now = cut.left
            raise PowerFailure

    def set(self, now: Lasting) -> None:
        """Change what lasts, without a chance for the power to fail."""
        if all(slot.image is Image.HALF for slot in now.slots):
            raise Broken("both slots are half written")
        self.now = now

    def store(self, name: str, state: BootState) -> None:
        """Write the boot state: one sector, whole or not at all, unless the scenario tears it."""
        if self.scenario.torn_states:
            self.cut_within(name, lambda now: replace(now, readable=False))
        self.effect(name, lambda now: now.with_boot_state(state))

    def may_fail(self, verb: str) -> None:
        """Fail the device, if the scenario has such a fault in store."""
        for at, (name, times) in enumerate(self.now.faults):
            if name == verb and times:
                left = list(self.now.faults)
                left[at] = (name, times - 1 if times < FOREVER else times)
                self.set(replace(self.now, faults=tuple(left)))
                self.trace.append(f"{verb} fails")
                raise DeviceError(f"{verb} failed")
