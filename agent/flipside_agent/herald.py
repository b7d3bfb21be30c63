"""Says aloud what the device does: to systemd at once, to the server if it can be reached."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, NoReturn

from flipside_agent.errors import AgentError
from flipside_agent.ports import Notifier, Server
from flipside_agent.states import State, sentence, under_way

STRIDE: Final = 10
"""Per cent of one step between two sentences: each costs a request, and RAUC tells every one."""

log = logging.getLogger(__name__)


class Herald:
    """Remembers the latest sentence; what comes while it speaks replaces what was to be said."""

    def __init__(self, server: Server, notifier: Notifier) -> None:
        self._server = server
        self._notifier = notifier
        self._action = ""
        self._sentence = ""
        self._words = ""
        self._step = ("", 0)
        """The step of RAUC that was told last, and how far it had come then."""
        self._news = asyncio.Event()

    def announce(self, state: State) -> None:
        """Say what the device does now."""
        update = under_way(state)
        self._action = update.action if update else ""
        self._sentence = sentence(state)
        self._say(self._sentence)

    def progress(self, percent: int, step: str) -> None:
        """Say how far an installation has come: each new step, and long ones now and then."""
        told, reached = self._step
        if step == told and percent < reached + STRIDE:
            return
        self._step = (step, percent)
        self._say(f"{self._sentence}: {percent} %, {step}")

    def _say(self, words: str) -> None:
        log.info("%s", words)
        self._notifier.status(words)
        self._words = words
        self._news.set()

    async def speak(self) -> NoReturn:
        """Tell the server, one sentence at a time, for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            if not self._action:
                continue
            try:
                await self._server.progress(self._action, self._words)
            except AgentError as error:
                log.debug("progress was not told: %s", error)
