"""The demo: one device, one server, six updates, and a table of what came of them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from flipside_qemu.alarms import Alarm
from flipside_qemu.deadline import Deadline
from flipside_qemu.device import Device
from flipside_qemu.errors import DeadlineError
from flipside_qemu.evidence import Facts, Finding, contradictions
from flipside_qemu.stage import Stage
from flipside_qemu.story import STORY, Chapter, Ending
from flipside_qemu.update_server import Belief, UpdateServer
from flipside_qemu.witness import Witness
from flipside_qemu.workshop import NAME, TARGET, Workshop

_PATIENCE = 1200.0
"""Seconds that one update may take. The longest took two minutes on two idle cores."""
_GLANCE = 2.0
"""Seconds between two looks at the server; each is a process, and the guest wants the processor."""
_PARTITION = {"A": "root-a", "B": "root-b"}


@dataclass(frozen=True, slots=True)
class Play:
    """Everything that takes part."""

    workshop: Workshop
    server: UpdateServer
    device: Device
    witness: Witness
    stage: Stage

    def run(self) -> list[Finding]:
        """Play the whole story."""
        self.stage.say("the device boots version 1")
        self.device.boot()
        return [self._perform(chapter) for chapter in STORY]

    def _perform(self, chapter: Chapter) -> Finding:
        self.stage.begin(chapter)
        started = time.monotonic()
        target = _other(self.device.booted_slot())
        before = self._digest(chapter, target)
        self.witness.forget()
        action = self._offer(chapter)
        with self.device.shell.expecting(Alarm.PANIC):
            belief = self._follow(action)
            self.device.shell.login()
        seconds = time.monotonic() - started
        facts = self._facts(target, belief, unchanged=before == self._digest(chapter, target))
        finding = Finding(
            chapter=chapter,
            happened=_happened(facts),
            why=belief.last_words,
            seconds=seconds,
            fetched=facts.fetched,
            contradictions=contradictions(chapter, facts),
        )
        self.stage.end(finding)
        return finding

    def _offer(self, chapter: Chapter) -> int:
        bundle = self.workshop.bundle(chapter)
        metadata = {"flipside.manifest-hash": bundle.manifest_hash}
        self.server.add_bundle(bundle.path, NAME, chapter.version, metadata)
        return self.server.assign(TARGET, NAME, chapter.version)

    def _follow(self, action: int) -> Belief:
        """Wait until the server holds the result, showing what it is told meanwhile."""
        deadline = Deadline.after(_PATIENCE)
        told = 0
        while True:
            belief = self.server.belief(action)
            for message in belief.messages[told:]:
                self.stage.server(message)
            told = len(belief.messages)
            if belief.closed:
                self.stage.server(f"— {belief.state} —")
                return belief
            if deadline.passed():
                raise DeadlineError("the result at the server", _PATIENCE, belief.last_words)
            self.device.shell.raise_failure()
            time.sleep(_GLANCE)  # the server has no way to call us

    def _facts(self, target: str, belief: Belief, *, unchanged: bool) -> Facts:
        shell = self.device.shell
        slot = _slot(json.loads(shell.check("rauc status --output-format=json --detailed")), target)
        status = slot.get("slot_status", {})
        return Facts(
            running=shell.check(". /etc/os-release; echo $IMAGE_VERSION").strip(),
            booted=self.device.booted_slot(),
            target=target,
            target_state=str(slot["boot_status"]),
            target_version=str(status.get("bundle", {}).get("version", "")),
            target_unchanged=unchanged,
            server_state=belief.state,
            server_words=belief.last_words,
            panics=self.witness.panics,
            trials=self.witness.trials,
            fetched=self.witness.fetched,
        )

    def _digest(self, chapter: Chapter, slot: str) -> str:
        """What a slot holds, byte for byte; asked only where nothing may have been written."""
        if chapter.ending is not Ending.REFUSED:
            return ""
        partition = f"/dev/disk/by-partlabel/{_PARTITION[slot]}"
        return self.device.shell.check(f"sha256sum {partition}", within=300).split()[0]


def _other(slot: str) -> str:
    return "B" if slot == "A" else "A"


def _slot(status: dict[str, Any], bootname: str) -> dict[str, Any]:
    """RAUC's entry of a slot: ``slots`` is a list of objects with one name each."""
    entries = (slot for named in status["slots"] for slot in named.values())
    found: dict[str, Any] = next(slot for slot in entries if slot["bootname"] == bootname)
    return found


def _happened(facts: Facts) -> str:
    if facts.booted == facts.target:
        return Ending.CONFIRMED
    if facts.trials == 0:
        return Ending.REFUSED
    return Ending.FELL_BACK if "fell back" in facts.server_words else Ending.ROLLED_BACK
