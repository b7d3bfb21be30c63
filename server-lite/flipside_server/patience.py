"""What a connection waits for, and until when."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum, auto

from flipside_server.limits import Limits

_LINGER = 2.0
"""Seconds in which a client may read why it was refused before the connection is torn down."""


class Phase(Enum):
    """What a connection waits for."""

    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    """The application."""
    READER = auto()
    """The client, to take what is sent."""
    IDLE = auto()
    END = auto()
    """The client, to have read why it was refused."""


class Patience:
    """The time that one client has for what it does at the moment."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._unread = 0
        self.phase = Phase.IDLE
        self.deadline = math.inf

    def begin(self, phase: Phase) -> None:
        """Wait for this, from now on."""
        self.phase, self.deadline = phase, self._clock() + self._seconds(phase)

    def expect(self, phase: Phase) -> None:
        """Wait for this part of a request; its time runs once, and not while an answer is read."""
        if self.phase not in (phase, Phase.READER):
            self.begin(phase)

    def watch(self, unread: int) -> None:
        """Wait for the client to take some of what there is to be sent."""
        self._unread = unread
        self.begin(Phase.READER)

    def moved(self, unread: int) -> bool:
        """Whether the client takes what is sent, however slowly."""
        return self.phase is Phase.READER and unread < self._unread

    def _seconds(self, phase: Phase) -> float:
        match phase:
            case Phase.HEAD:
                return self._limits.sending
            case Phase.BODY:
                return self._limits.telling
            case Phase.ANSWER:
                return math.inf
            case Phase.READER:
                return self._limits.stalled
            case Phase.IDLE:
                return self._limits.idle
            case Phase.END:
                return _LINGER
