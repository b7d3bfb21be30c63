"""A device and its server, to be flown through one update after the other."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from flipside_qemu.alarms import Alarm
from flipside_qemu.deadline import Deadline
from flipside_qemu.device import Device
from flipside_qemu.story import Flaw
from flipside_qemu.update_server import Belief, UpdateServer
from flipside_qemu.workshop import NAME, TARGET, Workshop, flaw_layer

LANDED = 1500.0
"""Seconds that an update may take on a busy host."""
_GLANCE = 2.0


@dataclass(frozen=True, slots=True)
class Flight:
    """Everything that takes part."""

    shop: Workshop
    server: UpdateServer
    device: Device

    def ship(self, version: str, flaw: Flaw = Flaw.NONE) -> int:
        """Publish a version and assign it to the device; the action's id."""
        bundle = self.shop.ship(version, flaw_layer(flaw))
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

    def version(self) -> str:
        """Version of the running system."""
        return self.device.shell.check(". /etc/os-release; echo $IMAGE_VERSION").strip()

    def fetched(self) -> int:
        """Bytes of bundles that the agent has fetched over the network since this boot."""
        text = self.device.shell.check("journalctl -b -u flipside-agent -o cat --no-pager")
        return sum(int(number) for number in re.findall(r"bundle bytes: (\d+) fetched", text))

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
