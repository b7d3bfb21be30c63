"""The main loop: pays what is owed, listens to the server, feeds the watchdog."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, NoReturn

from flipside_agent.backoff import delays
from flipside_agent.boot import Boot
from flipside_agent.cancellation import answer
from flipside_agent.commands import Command, Report
from flipside_agent.contact import Errand, Line
from flipside_agent.events import CancelRequested, Event, Failed, Offered, Unhealthy
from flipside_agent.herald import Herald
from flipside_agent.payment import Payment
from flipside_agent.ports import Notifier, Poll, Refusal, Server
from flipside_agent.runner import Runner
from flipside_agent.update import NO_BUNDLE, Outcome, Update, Verdict

FIRST: Final = 2.0
LONGEST: Final = 300.0
"""Seconds between attempts to pay the same debt: at first, and at last."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ports:
    """What the main loop works with."""

    payment: Payment
    server: Server
    line: Line
    herald: Herald
    notifier: Notifier
    random: Callable[[], float]


@dataclass(frozen=True, slots=True)
class _Debt:
    command: Command
    payment: asyncio.Task[Event]


class Service:
    """The life of the agent, from the start of the process to its end."""

    def __init__(
        self, runner: Runner, ports: Ports, boot: Boot, attributes: Mapping[str, str], tick: float
    ) -> None:
        self._runner = runner
        self._ports = ports
        self._boot = boot
        self._attributes = dict(attributes)
        self._tick = tick
        """Seconds after which the watchdog is fed at the latest."""
        self._is_introduced = False
        """Whether the server was told, since the agent started, what this device is."""
        self._debt: _Debt | None = None
        self._pace: Iterator[float] = iter(())
        """Pauses between attempts to pay the same debt."""

    async def run(self) -> NoReturn:
        """Live until cancelled. Every error that ends this is one of the journal or a bug."""
        self._runner.start()
        if self._runner.unwritten:
            log.warning("no update will be begun: %s", self._runner.unwritten)
        self._ports.herald.announce(self._runner.state)
        self._ports.notifier.ready()
        voice: asyncio.Task[NoReturn] = asyncio.create_task(self._ports.herald.speak())
        mail = asyncio.create_task(self._ports.line.next())
        try:
            while True:
                self._work()
                await self._turn(voice, mail)
                if mail.done():
                    mail = asyncio.create_task(self._ports.line.next(self._read(mail.result())))
                elif self._debt and self._debt.payment.done():
                    self._settle(self._debt)
        finally:
            for task in (voice, mail, *self._payments()):
                task.cancel()

    async def _turn(self, voice: asyncio.Task[NoReturn], mail: asyncio.Task[Poll]) -> None:
        """Wait until something happens; the watchdog is fed here and nowhere else."""
        await asyncio.wait(
            {voice, mail, *self._payments()},
            timeout=self._tick,
            return_when=asyncio.FIRST_COMPLETED,
        )
        self._ports.notifier.watchdog()
        if voice.done():
            voice.result()

    def _payments(self) -> tuple[asyncio.Task[Event], ...]:
        return (self._debt.payment,) if self._debt else ()

    def _work(self) -> None:
        """Begin to pay what is owed, unless that is under way already."""
        owed = self._runner.owed
        if self._debt and self._debt.command == owed:
            return
        for payment in self._payments():
            payment.cancel()
        self._pace = delays(FIRST, LONGEST, self._ports.random)
        self._debt = self._incur(owed, 0.0) if owed else None

    def _settle(self, debt: _Debt) -> None:
        """Take what came of a payment; if the same is owed again, pay it after a pause."""
        self._take(debt.payment.result())
        again = self._runner.owed == debt.command
        self._debt = self._incur(debt.command, next(self._pace)) if again else None

    def _incur(self, command: Command, pause: float) -> _Debt:
        return _Debt(command, asyncio.create_task(self._pay(command, pause)))

    async def _pay(self, command: Command, pause: float) -> Event:
        await asyncio.sleep(pause)
        return await self._ports.payment.pay(command)

    def _read(self, poll: Poll) -> list[Errand]:
        """Take what the server wants; what it is to be told comes back as errands."""
        errands: list[Errand] = []
        if poll.wants_attributes or not self._is_introduced:
            errands.append(self._introduce)
        if poll.offer and self._runner.unwritten:
            # No update is begun that a power cut would make us forget.
            refusal = Refusal(poll.offer.action, f"refused: {self._runner.unwritten}")
            errands += [partial(self._refuse, refusal), self._introduce]
        elif poll.refused:
            errands.append(partial(self._refuse, poll.refused))
        elif poll.offer:
            here = self._boot
            self._take(Offered(poll.offer, here.slot, here.other, here.version))
        if poll.cancel:
            self._take(CancelRequested(poll.cancel))
            if said := answer(self._runner.state, poll.cancel):
                tell = partial(self._ports.server.answer_cancel, poll.cancel)
                errands.append(partial(tell, accepted=said.accepted, reason=said.reason))
        return errands

    async def _introduce(self) -> None:
        """Say what this device is: when asked, and unasked after each start, for it has changed."""
        trouble = "; ".join(filter(None, (self._boot.damage, self._runner.unwritten)))
        await self._ports.server.send_attributes({**self._attributes, "trouble": trouble})
        self._is_introduced = True

    async def _refuse(self, refusal: Refusal) -> None:
        """Write down and tell that a deployment is not begun."""
        log.warning("action %s is refused: %s", refusal.action, refusal.reason)
        here = self._boot
        update = Update(refusal.action, NO_BUNDLE, here.slot, here.other, here.version)
        outcome = Outcome(Verdict.FAILURE, refusal.reason)
        await self._ports.payment.report(Report(update, outcome))

    def _take(self, event: Event) -> None:
        if isinstance(event, Failed):
            log.warning("the %s is to blame: %s", event.blame, event.reason)
        if isinstance(event, Unhealthy):
            log.warning("health check %s failed: %s", event.check, event.reason)
        before = self._runner.state
        self._runner.take(event)
        if self._runner.state != before:
            self._ports.herald.announce(self._runner.state)
