"""The count of everything that a fleet does: who is where, what was asked, what went wrong."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict

from flipside_agent.update import Verdict
from flipside_qemu.fleet_ending import Ending, contradiction
from flipside_qemu.fleet_fate import Fate
from flipside_qemu.fleet_figures import Durations
from flipside_qemu.fleet_request import Kind

MOST_SENTENCES = 100
"""Different errors told apart; a server that puts a number into each must not fill the memory."""

OFF = "off"
"""Where a device is that is not switched on, or on its way up."""


class Tally:
    """Counts; the parts of a fleet write, the picture and the figures read."""

    def __init__(self, goal: int = 0) -> None:
        self.goal = goal
        """Updates that each device is to end; 0 for as many as there are."""
        self.arrived = 0
        """Devices that have ended so many."""
        self.news = asyncio.Event()
        """An update has ended."""
        self.requests: dict[Kind, Durations] = defaultdict(Durations)
        self.errors: Counter[str] = Counter()
        """By sentence."""
        self.fetched = 0
        """Bytes of bundles."""
        self.places: dict[str, str] = {}
        """Where each device is: the agent's word for it, or that it is off."""
        self.states: Counter[str] = Counter()
        """How many devices are in each of those places."""
        self.endings: dict[tuple[str, str], Ending] = {}
        """By device and action; of an action that was told twice, the last."""
        self._ended: Counter[str] = Counter()
        """Updates by device."""

    def answered(self, kind: Kind, seconds: float) -> None:
        """An answer came, good or bad."""
        self.requests[kind].add(seconds)

    def failed(self, sentence: str) -> None:
        """Something was not answered, or not well."""
        full = len(self.errors) >= MOST_SENTENCES and sentence not in self.errors
        self.errors["other errors" if full else sentence] += 1

    def moved(self, device: str, place: str) -> None:
        """A device is somewhere else now."""
        before = self.places.get(device)
        if before is not None:
            self.states[before] -= 1
        self.places[device] = place
        self.states[place] += 1

    def ended(self, ending: Ending) -> None:
        """A device has told how an update ended."""
        key = ending.device, ending.update.action
        if key not in self.endings:
            self._ended[ending.device] += 1
            self.arrived += self._ended[ending.device] == self.goal
        self.endings[key] = ending
        self.news.set()

    def verdicts(self) -> dict[str, int]:
        """How many updates ended how."""
        found = Counter(ending.outcome.verdict for ending in self.endings.values())
        return {str(verdict): found[verdict] for verdict in Verdict}

    def images(self) -> dict[str, int]:
        """What the images of those updates were, by the devices' worlds."""
        found = Counter(ending.fate for ending in self.endings.values())
        return {str(one): found[one] for one in Fate}

    def ended_by(self, device: str) -> int:
        """How many updates a device has ended."""
        return self._ended[device]

    def contradictions(self) -> list[str]:
        """Every ending that is not what the device's world says, one sentence each."""
        return [flaw for one in self.endings.values() if (flaw := contradiction(one))]
