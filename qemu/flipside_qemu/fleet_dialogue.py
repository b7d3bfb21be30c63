"""What a model device and its server say to each other: the agent's DDI core over a fleet's wire.

It is the agent's server port, as :mod:`flipside_agent.hawkbit` is on a real device; that one blocks
in a thread for each request, which a thousand devices cannot.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flipside_agent import ddi, deployment, feedback
from flipside_agent.address import Site
from flipside_agent.errors import AgentError, UpdateError
from flipside_agent.hawkbit import MOST_PROGRESS
from flipside_agent.ports import Poll, Refusal
from flipside_agent.transport import check_status
from flipside_agent.update import Offer, Outcome, Update, Verdict
from flipside_qemu.fleet_connection import Reply
from flipside_qemu.fleet_request import Caller, Kind
from flipside_qemu.fleet_wire import Wire

LIMITS = ddi.PollLimits(shortest=0.05, longest=86400, unsaid=300)
"""Below the agent's own limit: a fleet is to do in a minute what a real one does in a day."""

_GONE = (404, 410)
_NOT_CANCELING = (*_GONE, 405)


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One device's line to its server; implements :class:`flipside_agent.ports.Server`."""

    caller: Caller
    wire: Wire
    poll_factor: float
    """The server's polling interval is multiplied by this."""
    on_reported: Callable[[Update, Outcome, bool], None]
    """Told of each result that was given, and whether the server took it."""
    told: Counter[str] = field(default_factory=Counter)
    """Sentences of progress, by action."""
    unanswered: set[str] = field(default_factory=set)
    """Actions whose result was sent once without an answer."""

    async def poll(self) -> Poll:
        """Ask for work."""
        reply = await self.wire.ask(Kind.POLL, self.caller.ask(""))
        root = ddi.root_of(self._document(reply, Kind.POLL), LIMITS)
        offer = await self._offer(root) if root.deployment else None
        return Poll(
            sleep=root.sleep * self.poll_factor,
            offer=offer if isinstance(offer, Offer) else None,
            refused=offer if isinstance(offer, Refusal) else None,
            cancel=await self._cancel(root.cancel) if root.cancel else "",
            wants_attributes=root.wants_attributes,
        )

    async def report(self, update: Update, outcome: Outcome) -> None:
        """Tell how an update ended."""
        action, document = update.action, feedback.result(outcome)
        path = ddi.feedback_path(action)
        gone: tuple[int, ...] = _GONE
        if outcome.verdict is Verdict.CANCELED:
            path, gone = ddi.cancel_path(action, "/feedback"), _NOT_CANCELING
        try:
            status = await self._tell(Kind.FEEDBACK, "POST", path, document, *gone)
        except (AgentError, asyncio.CancelledError):
            # Whatever went wrong on the way back, or whoever stopped waiting: it may be heard.
            self.unanswered.add(action)
            raise
        del self.told[action]
        # That it is closed is no surprise to a device which may have closed it unheard.
        self.on_reported(update, outcome, status < 300 or action in self.unanswered)

    async def progress(self, action: str, sentence: str) -> None:
        """Tell how far an action has come."""
        if self.told[action] >= MOST_PROGRESS:
            return
        self.told[action] += 1
        document = feedback.progress(sentence)
        await self._tell(Kind.FEEDBACK, "POST", ddi.feedback_path(action), document, *_GONE)

    async def answer_cancel(self, action: str, *, accepted: bool, reason: str) -> None:
        """Confirm a cancellation, or say that it comes too late."""
        document = feedback.cancellation(accepted=accepted, reason=reason)
        path = ddi.cancel_path(action, "/feedback")
        await self._tell(Kind.FEEDBACK, "POST", path, document, *_NOT_CANCELING)

    async def send_attributes(self, attributes: dict[str, str]) -> None:
        """Tell what this device is."""
        document = feedback.attributes(attributes)
        await self._tell(Kind.ATTRIBUTES, "PUT", "/configData", document)

    async def recorded(self, action: str) -> str:
        """What the server holds of a closed action (DDI ``installedBase``), in its own word.

        Empty if it does not hold it, or not as closed; "closed" if it does not say more.
        """
        path = f"/installedBase/{action}?actionHistory=1"
        reply = await self.wire.ask(Kind.INSTALLED, self.caller.ask(path))
        if reply.status in _GONE:
            return ""
        history = ddi.table(self._document(reply, Kind.INSTALLED), "actionHistory")
        return ddi.shown(history.get("status", "closed")).lower()

    async def _offer(self, root: ddi.Root) -> Offer | Refusal | None:
        request = self.caller.ask(ddi.deployment_path(root))
        reply = await self.wire.ask(Kind.DEPLOYMENT, request)
        if reply.status in _GONE:
            return None
        document = self._document(reply, Kind.DEPLOYMENT)
        try:
            return deployment.offer_of(document, root.deployment, self._site)
        except UpdateError as error:
            return Refusal(root.deployment, str(error))

    async def _cancel(self, action: str) -> str:
        reply = await self.wire.ask(Kind.CANCEL, self.caller.ask(ddi.cancel_path(action)))
        if reply.status in _GONE:
            return ""
        return ddi.canceled_action(self._document(reply, Kind.CANCEL))

    async def _tell(
        self,
        kind: Kind,
        method: str,
        path: str,
        document: Mapping[str, object],
        *indifferent: int,
    ) -> int:
        reply = await self.wire.ask(kind, self.caller.tell(method, path, document))
        if reply.status not in indifferent:
            self._check(reply, kind)
        return reply.status

    def _document(self, reply: Reply, kind: Kind) -> Mapping[str, object]:
        self._check(reply, kind)
        return ddi.document_of(reply.body)

    def _check(self, reply: Reply, kind: Kind) -> None:
        try:
            check_status(reply.status, reply.headers, self._site, f"the request {kind}")
        except AgentError as error:
            self.wire.failed(str(error))
            raise

    @property
    def _site(self) -> Site:
        return self.caller.home.site
