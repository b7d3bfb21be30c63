"""The update server as the machine sees it: one action, until its result is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flipside_agent.cancellation import Answer
from flipside_agent.errors import NetworkError
from flipside_agent.ports import Poll
from flipside_agent.update import Bundle, Offer, Outcome, Update, Verdict
from models.lasting import Image
from models.power_switch import PowerSwitch
from models.scenario import ACTION, WANTED, Broken


@dataclass(frozen=True, slots=True)
class UpdateServer:
    """The server port, and the way to it."""

    power: PowerSwitch

    def reach(self) -> None:
        """One more contact; fails during an outage."""
        first, end = self.power.scenario.outage
        at = self.power.now.contacts
        self.power.effect("contact", lambda now: replace(now, contacts=at + 1))
        if first <= at < end:
            raise NetworkError("no route to the server")

    async def regained(self, spent: int) -> None:
        """Ask until there is an answer."""
        self.power.may_fail("regained")
        while True:
            try:
                self.reach()
            except NetworkError:
                continue
            return

    async def poll(self) -> Poll:
        """The action, or the wish to cancel it, until its result is known."""
        self.reach()
        scenario, now = self.power.scenario, self.power.now
        if now.verdicts or scenario.quiet:
            return Poll(60)
        if now.contacts > scenario.cancelled_from:
            return Poll(60, cancel=ACTION)
        wanted = "6" * 64 if scenario.other_hash else WANTED
        bundle = Bundle("http://server/bundle", 1000, "2", manifest_hash=wanted)
        return Poll(60, offer=Offer(ACTION, bundle))

    def answered(self, said: Answer | None) -> None:
        """Take the answer to the wish to cancel."""
        if said and said.accepted:
            self._close(Outcome(Verdict.CANCELED, said.reason))

    async def report(self, update: Update, outcome: Outcome) -> None:
        """Take the result of the action; a second one is not wanted, but must not differ."""
        self.reach()
        if update.action != ACTION:
            raise Broken(f"a report for action {update.action}")
        if outcome.verdict is Verdict.SUCCESS:
            self._believe(outcome)
        told = self.power.now.verdicts
        if told and told[-1].verdict is not outcome.verdict:
            raise Broken(f"first {told[-1]}, then {outcome}")
        self._close(outcome)

    def _believe(self, outcome: Outcome) -> None:
        here, now = self.power.here.slot, self.power.now
        if now.slot(here).image is not Image.NEW or not now.boot_state().slot(here).confirmed:
            raise Broken(f"{outcome} was reported, but slot {here} is not a confirmed new one")

    def _close(self, outcome: Outcome) -> None:
        self.power.effect("report", lambda now: replace(now, verdicts=(*now.verdicts, outcome)))

    async def progress(self, action: str, sentence: str) -> None:
        """Take note."""

    async def answer_cancel(self, action: str, *, accepted: bool, reason: str) -> None:
        """Take note."""

    async def send_attributes(self, attributes: dict[str, str]) -> None:
        """Take note."""
