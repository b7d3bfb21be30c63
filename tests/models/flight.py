"""A device and its server, to be flown through one update after the other."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import TypedDict

from flipside_qemu.alarms import Alarm
from flipside_qemu.deadline import Deadline
from flipside_qemu.device import Device
from flipside_qemu.story import Flaw
from flipside_qemu.tree import Layer
from flipside_qemu.update_server import Belief, UpdateServer
from flipside_qemu.workshop import NAME, TARGET, Workshop, flaw_layer

LANDED = 1500.0
"""Seconds that an update may take on a busy host."""
_GLANCE = 2.0


Entry = TypedDict(
    "Entry",
    {
        "action": str,
        "version": str,
        "from": str,
        "slot": str,
        "when": str,
        "verdict": str,
        "reason": str,
        "check": str,
        "journal": list[str],
    },
)
"""One line of ``flipside-agent history --json``."""


class Slot(TypedDict):
    """What ``flipside-bootctl status --json`` says of a slot."""

    left: int
    confirmed: bool


class Promises(TypedDict):
    """What it says of the boot scheme; some of it."""

    trial_attempts: int
    confirmed_attempts: int


class BootState(TypedDict):
    """What it says; some of it."""

    capabilities: Promises
    current: str
    next: str
    damage: str
    slots: dict[str, Slot]


@dataclass(frozen=True, slots=True)
class Flight:
    """Everything that takes part."""

    shop: Workshop
    server: UpdateServer
    device: Device
    versions: count[int] = field(default_factory=lambda: count(2))

    def next_version(self) -> str:
        """A version that this server has not seen."""
        return str(next(self.versions))

    def ship(self, version: str, flaw: Flaw | Layer = Flaw.NONE) -> int:
        """Publish a version and assign it to the device; the action's id."""
        layer = flaw_layer(flaw) if isinstance(flaw, Flaw) else flaw
        bundle = self.shop.ship(version, layer)
        metadata = {"flipside.manifest-hash": bundle.manifest_hash}
        self.server.add_bundle(bundle.path, NAME, version, metadata)
        return self.server.assign(TARGET, NAME, version)

    def result(self, action: int, within: float = LANDED) -> Belief:
        """What the server believes once the action is closed."""
        with self.device.shell.expecting(Alarm.PANIC):
            return self._await(action, within, lambda belief: belief.closed, "a result")

    def told(self, action: int, pattern: str, within: float = LANDED) -> Belief:
        """What the server believes once it was told something that matches."""
        searched = re.compile(pattern)

        def was_told(belief: Belief) -> bool:
            return any(searched.search(message) for message in belief.messages)

        return self._await(action, within, was_told, f"`{pattern}` at the server")

    def refused(self, action: int, *patterns: str) -> Entry:
        """Wait until it has failed; the server and the device tell the same, and this much."""
        result = self.result(action)
        assert result.state == "error", result.messages
        entry = self.ended(action)
        assert entry["verdict"] == "failure"
        assert entry["reason"] in result.last_words
        for pattern in patterns:
            assert re.search(pattern, result.last_words), result.last_words
        return entry

    def lands(self, action: int) -> Entry:
        """Wait until it has landed: it runs, it is confirmed, and everybody says so."""
        result = self.result(action)
        assert result.state == "finished", result.messages
        entry = self.ended(action)
        assert entry["verdict"] == "success"
        assert self.version() == result.version
        assert self.is_confirmed(self.device.booted_slot())
        return entry

    def good_update(self) -> Entry:
        """One more update, a good one: nothing is so broken that it could not be mended."""
        return self.lands(self.ship(self.next_version()))

    def ended(self, action: int) -> Entry:
        """What the device has written down of an action that is over."""
        self.device.boot()
        found = [entry for entry in self.history() if entry["action"] == str(action)]
        assert len(found) == 1, f"action {action} is {len(found)} times in the device's history"
        return found[0]

    def history(self) -> list[Entry]:
        """What the device has written down of everything that it tried, oldest first."""
        entries: list[Entry] = json.loads(
            self.device.shell.check("flipside-agent history --json", within=60)
        )
        return entries

    def is_confirmed(self, slot: str) -> bool:
        """Whether the boot loader's state says so."""
        return self.boot_state()["slots"][slot]["confirmed"]

    def boot_state(self) -> BootState:
        """What the device says of its boot loader, and of what that promises."""
        state: BootState = json.loads(self.device.shell.check("flipside-bootctl status --json"))
        return state

    def version(self) -> str:
        """Version of the running system."""
        return self.device.shell.check(". /etc/os-release; echo $IMAGE_VERSION").strip()

    def fetched(self) -> int:
        """Bytes of bundles that the agent has fetched over the network since this boot."""
        text = self.device.shell.check("journalctl -b -u flipside-agent -o cat --no-pager")
        counts = re.findall(r"bundle bytes: (\d+) fetched", text)
        assert counts, "the agent says what it has fetched"
        return sum(map(int, counts))

    def _await(
        self, action: int, within: float, reached: Callable[[Belief], bool], what: str
    ) -> Belief:
        deadline = Deadline.after(within)
        while not reached(belief := self.server.belief(action)):
            self.device.shell.raise_failure()
            if deadline.passed():
                raise AssertionError(f"no {what} in {within:.0f} s: {belief.messages[-5:]}")
            time.sleep(_GLANCE)  # the server has no way to call us
        return belief
