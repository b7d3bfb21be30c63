"""The update server, spoken to in hawkBit's DDI: hawkBit itself, or server-lite."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping
from functools import partial

from flipside_agent import ddi, deployment, feedback
from flipside_agent.address import Address
from flipside_agent.errors import NetworkError, OperatorError, UpdateError
from flipside_agent.ports import Poll, Refusal
from flipside_agent.transport import Answer, Link, Transport, check_status, read_whole
from flipside_agent.update import Offer, Outcome, Update, Verdict
from flipside_agent.worker import in_thread

LONGEST_EXCHANGE = 60.0
"""Seconds for one request and its whole answer, however slowly it drips."""

MOST_PROGRESS = 300
"""Sentences of progress an action; hawkBit takes 1,000 entries, then not even the result."""

_GONE = (404, 410)
"""The action is closed, cancelled, or was never this device's."""

_NOT_CANCELING = (*_GONE, 405)


class Hawkbit:
    """Asks the server for work and tells it how the work ended."""

    def __init__(self, transport: Transport, base: Address, limits: ddi.PollLimits) -> None:
        self._transport = transport
        self._base = base
        self._limits = limits
        self._told: Counter[str] = Counter()

    async def poll(self) -> Poll:
        """Ask for work; what makes no sense is an error of the server, or a refused deployment."""
        answer = await self._exchange("GET", "", None)
        if answer.status == 404:
            raise OperatorError(
                f"{self._base.site} knows nothing at {self._base.target}:"
                " check server.url, server.tenant and device.controller_id"
            )
        root = ddi.root_of(self._document(answer, "the poll"), self._limits)
        offer = await self._offer(root) if root.deployment else None
        return Poll(
            sleep=root.sleep,
            offer=offer if isinstance(offer, Offer) else None,
            refused=offer if isinstance(offer, Refusal) else None,
            cancel=await self._cancel(root.cancel) if root.cancel else "",
            wants_attributes=root.wants_attributes,
        )

    async def _offer(self, root: ddi.Root) -> Offer | Refusal | None:
        answer = await self._exchange("GET", ddi.deployment_path(root), None)
        if answer.status in _GONE:
            return None
        document = self._document(answer, f"the question for action {root.deployment}")
        try:
            return deployment.offer_of(document, root.deployment, self._base.site)
        except UpdateError as error:
            return Refusal(root.deployment, str(error))

    async def _cancel(self, action: str) -> str:
        answer = await self._exchange("GET", ddi.cancel_path(action), None)
        if answer.status in _GONE:
            return ""
        return ddi.canceled_action(self._document(answer, f"the cancellation of {action}"))

    async def report(self, update: Update, outcome: Outcome) -> None:
        """Tell how an update ended; that the server no longer wants to know is fine."""
        action, body = update.action, feedback.result(outcome)
        if outcome.verdict is Verdict.CANCELED:
            await self._tell("POST", ddi.cancel_path(action, "/feedback"), body, *_NOT_CANCELING)
        else:
            await self._tell("POST", ddi.feedback_path(action), body, *_GONE)
        del self._told[action]

    async def progress(self, action: str, sentence: str) -> None:
        """Tell how far an action has come."""
        if self._told[action] >= MOST_PROGRESS:
            return
        self._told[action] += 1
        await self._tell("POST", ddi.feedback_path(action), feedback.progress(sentence), *_GONE)

    async def answer_cancel(self, action: str, *, accepted: bool, reason: str) -> None:
        """Confirm a cancellation, or say that it comes too late."""
        body = feedback.cancellation(accepted=accepted, reason=reason)
        await self._tell("POST", ddi.cancel_path(action, "/feedback"), body, *_NOT_CANCELING)

    async def send_attributes(self, attributes: dict[str, str]) -> None:
        """Tell what this device is."""
        await self._tell("PUT", "/configData", feedback.attributes(attributes))

    def _document(self, answer: Answer, what: str) -> Mapping[str, object]:
        check_status(answer.status, answer.headers, self._base.site, what)
        return ddi.document_of(answer.body)

    async def _tell(
        self, method: str, path: str, document: Mapping[str, object], *indifferent: int
    ) -> None:
        answer = await self._exchange(method, path, json.dumps(document).encode())
        if answer.status in indifferent:
            return
        check_status(answer.status, answer.headers, self._base.site, f"{method} {path}")

    async def _exchange(self, method: str, path: str, body: bytes | None) -> Answer:
        link = self._transport.link(self._base.site)
        call = partial(_exchange, link, method, self._base.target + path, body)
        try:
            return await asyncio.wait_for(in_thread(call), LONGEST_EXCHANGE)
        except TimeoutError as error:
            raise NetworkError(f"{self._base.site} took too long to answer") from error
        finally:
            link.abort()


def _exchange(link: Link, method: str, target: str, body: bytes | None) -> Answer:
    headers = {"Accept": "application/json", "Connection": "close"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    try:
        response = link.ask(method, target, headers, body)
        deadline = time.monotonic() + LONGEST_EXCHANGE
        return read_whole(response, link.site, ddi.LONGEST_ANSWER, deadline)
    finally:
        link.close()
