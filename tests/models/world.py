"""A device and everything around its agent.

What outlives a power cut is one frozen value, :class:`~models.lasting.Lasting`. Each change of it
is an *effect*, and before each effect, and within those that can tear, the power may fail or the
agent may die. A world notes what would be left at each of those points while it runs on, so one run
shows every cut of itself; :mod:`models.cuts` follows them up.

The boot state is the real one of :mod:`flipside_bootctl`; the boot loader reads it as
``bootctl/grub/grub.cfg`` does. Wherever the agent would do harm (write the running slot, report a
success that is none, leave nothing to boot, reboot for ever) the world raises :class:`Broken`.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, Final, TypeVar

from flipside_agent.boot import Boot
from flipside_agent.cancellation import answer
from flipside_agent.errors import DeviceError, NetworkError
from flipside_agent.events import CancelRequested, Offered
from flipside_agent.page import SIZE
from flipside_agent.payment import Payment
from flipside_agent.states import Checking, Idle
from flipside_agent.update import Diagnosis, Outcome, Update
from models.lasting import Image, Lasting, Running
from models.power_switch import PowerSwitch
from models.rauc_slots import RaucSlots
from models.scenario import BASE, TARGET, Agent, Broken, Kind, Scenario
from models.update_server import UpdateServer

MOST_BOOTS: Final = 80
MOST_PAYMENTS: Final = 200
_BOOT_IDS: Final = count()

T = TypeVar("T")


class Reset(BaseException):
    """The device starts anew. Not an exception that anybody may catch on the way."""


@dataclass(frozen=True, slots=True)
class Drive:
    """The journal's pages on the disk of a world."""

    power: PowerSwitch

    def read(self, number: int) -> bytes:
        """One page."""
        return self.power.now.pages[number]

    def write(self, number: int, raw: bytes) -> None:
        """Overwrite one page; the power may fail in the middle, with any sector written or not."""
        old = (self.read(number) + bytes(SIZE))[:SIZE]
        for torn in (raw[:512] + old[512:], old[:512] + raw[512:]):
            self.power.cut_within("journal", partial(Lasting.with_page, number=number, raw=torn))
        self.power.effect("journal", lambda now: now.with_page(number, raw))


@dataclass(frozen=True, slots=True)
class RunningImage:
    """What the running image is like: the health port and the power port."""

    power: PowerSwitch

    async def diagnose(self) -> Diagnosis:
        """Run the checks."""
        self.power.may_fail("diagnose")
        scenario, here = self.power.scenario, self.power.here
        if not scenario.counted and not here.trial:
            raise Broken("a boot that nobody counts was checked")
        new = self.power.now.slot(here.slot).image is Image.NEW
        if new and scenario.kind is Kind.HANGING and here.trial:
            self.power.cut("hanging")
            raise Reset
        sick = scenario.kind is Kind.SICK if new else scenario.ailing_base
        return self._diagnosis(sick)

    def _diagnosis(self, sick: bool) -> Diagnosis:
        try:
            self.power.may_fail("probe")
        except DeviceError:
            sick = True
        return Diagnosis(False, "probe", "the probe failed") if sick else Diagnosis(True)

    async def reboot(self, reason: str) -> None:
        """Start the device anew."""
        self.power.may_fail("reboot")
        self.power.cut(f"before the reboot {reason}")
        raise Reset


class Unwritten:
    """A history that nobody reads here; it decides nothing."""

    async def note(self, update: Update, outcome: Outcome) -> None:
        """Forget it."""


class World:
    """A device that runs until nothing is owed any more."""

    def __init__(
        self,
        scenario: Scenario,
        start: Lasting,
        running: Running | None = None,
        *,
        noting: bool = True,
    ) -> None:
        self.scenario = scenario
        self.power = PowerSwitch(scenario, start, noting, running)
        self.boots = 0
        self._server = UpdateServer(self.power)
        rauc, image = RaucSlots(self.power, self._server), RunningImage(self.power)
        self._payment = Payment(rauc, image, image, self._server, self._server, Unwritten())

    @property
    def now(self) -> Lasting:
        """What would be left if the power failed now."""
        return self.power.now

    @property
    def trace(self) -> list[str]:
        """What has happened."""
        return self.power.trace

    def run(self) -> Lasting:
        """Let the device live until it is idle and the server has nothing to say."""
        while True:
            try:
                if self.power.running is None:
                    self._power_on()
                self._live()
            except Reset:
                self.power.running = None
            else:
                self.power.cut("end")
                return self.now

    def _power_on(self) -> None:
        """Boot loader and kernel, up to the agent; or not so far."""
        self.boots += 1
        if self.boots > MOST_BOOTS:
            raise Broken("the device reboots for ever")
        name, trial = self._chosen()
        self.trace.append(f"boot {name}{' on trial' if trial else ''}")
        content = self.now.slot(name)
        if content.image is Image.HALF and not self.scenario.meddled:
            raise Broken(f"a half written slot {name} was booted")
        kind = self.scenario.kind if content.image is Image.NEW else Kind.HEALTHY
        if kind in (Kind.PANICKING, Kind.AGENTLESS):
            if not trial:
                raise Broken(f"slot {name} boots, cannot work, and is never left")
            raise Reset
        self.power.running = Running(name, trial, f"boot {next(_BOOT_IDS)}")

    def _chosen(self) -> tuple[str, bool]:
        """The slot that grub.cfg starts, one attempt poorer, and whether on trial."""
        now = self.now
        state = now.boot_state()
        for name in state.order() if now.readable else ():
            slot = state.slot(name)
            if slot.left > 0:
                if self.scenario.counted or not slot.confirmed:
                    poorer = state.with_slot(name, slot._replace(left=slot.left - 1))
                    self.power.store("count", poorer)
                return name, not slot.confirmed
        return now.committed, False

    def _live(self) -> None:
        """The agent's main loop, from its start to the end of all debts."""
        here = self.power.here
        other = TARGET if here.slot == BASE else BASE
        boot = Boot(here.boot, here.slot, other, here.trial, self.scenario.counted)
        new = self.now.slot(here.slot).image is Image.NEW
        make = self.scenario.new_agent if new else self.scenario.old_agent
        agent = make(Drive(self.power), boot)
        agent.start()
        while True:
            self._settle(agent, boot)
            if not self._correspond(agent, boot):
                return

    def _settle(self, agent: Agent, boot: Boot) -> None:
        for _ in range(MOST_PAYMENTS):
            if self.scenario.eager:
                self._correspond(agent, boot)
            before, owed = agent.state, agent.owed
            if owed is None:
                return
            recovers = any(verb == "probe" and times for verb, times in self.now.faults)
            agent.take(finished(self._payment.pay(owed)))
            if agent.state == before and is_ailing(before) and not recovers:
                return
        # Something is refused without end. On trial, somebody without Python loses patience.
        here = self.power.here
        if here.trial and not self.now.boot_state().slot(here.slot).confirmed:
            raise Reset
        raise Broken(f"{agent.state} is never left")

    def _correspond(self, agent: Agent, boot: Boot) -> bool:
        """One poll; says whether it was worth another round."""
        try:
            poll = finished(self._server.poll())
        except NetworkError:
            return True
        before = self.now, agent.state
        if poll.offer:
            agent.take(Offered(poll.offer, boot.slot, boot.other))
        if poll.cancel:
            agent.take(CancelRequested(poll.cancel))
            self._server.answered(answer(agent.state, poll.cancel))
        return before != (self.now, agent.state)


def finished(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never has to wait."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise Broken("a port of the model waited")


def is_ailing(state: object) -> bool:
    """Nothing is under way, but the boot could not be confirmed."""
    return isinstance(state, Checking) and isinstance(state.then, Idle)
