"""Keeps the promise of the machine: what is owed is written down before it is paid."""

from __future__ import annotations

from flipside_agent.boot import Boot
from flipside_agent.commands import Command
from flipside_agent.errors import AgentError
from flipside_agent.events import Booted, Event, Offered, Restarted
from flipside_agent.journal import Journal, MemoryPages
from flipside_agent.machine import pending, step
from flipside_agent.record import FORMAT, Record, format_for
from flipside_agent.states import Idle, State


class Runner:
    """The state of this device, and its journal."""

    def __init__(self, journal: Journal, boot: Boot) -> None:
        self._journal = journal
        self._boot = boot
        self._format = FORMAT
        self.state: State = Idle()
        self.unwritten = ""
        """Why nothing can be written down, in one sentence; empty as long as it can."""

    @property
    def owed(self) -> Command | None:
        """What is to be paid next; carrying it out once too often does no harm."""
        return pending(self.state)

    def start(self) -> None:
        """Take up the story where it was left, and say which slot the kernel came from.

        Without a journal no trial can be told truly, so it is left to the boot counter. But a
        slot that was confirmed once is confirmed again: a worn-out data partition must not cost it.
        """
        try:
            self._take_up()
        except AgentError as error:
            if self._boot.trial:
                raise
            self._make_do(str(error))

    def _take_up(self) -> None:
        record = self._journal.load() or Record(Idle(), boot="")
        self.state, self._format = record.state, record.format
        self.take(Restarted() if record.boot == self._boot.id else Booted(self._boot))

    def _make_do(self, reason: str) -> None:
        """Begin nothing; the story in the journal waits until it can be written on."""
        self.unwritten = reason
        self._journal = Journal(MemoryPages())
        self.state, self._format = Idle(), FORMAT
        self.take(Booted(self._boot))

    def take(self, event: Event) -> None:
        """Let an event happen. A state that stays as it is costs no write.

        An offer that cannot be written down is not taken, and no later one either.
        """
        state = step(self.state, event)
        if state == self.state:
            return
        self._format = format_for(state, self._format)
        try:
            self._journal.save(Record(state, self._boot.id, self._format))
        except AgentError as error:
            if not isinstance(event, Offered):
                raise
            self.unwritten = str(error)
        else:
            self.state = state
