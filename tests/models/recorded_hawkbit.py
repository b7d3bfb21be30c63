"""The recorded story of a real hawkBit 1.0.4, told to a server of ours.

What a device said in it is said again, word by word; what the operator did in between is done
with our own orders, or where there is none yet, with our own records.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from flipside_server import target as targets
from flipside_server.action import Action
from flipside_server.admission import Policy
from flipside_server.credentials import proof
from flipside_server.orders import AddTarget, Assign, Cancel
from flipside_server.settings import Settings
from flipside_server.software import Artifact, DistributionSet, SoftwareModule
from flipside_server.target import Target
from flipside_server.terms import Terms, Urgency
from flipside_server.window import checked_window
from models.ddi_device import FIRMWARE, Answer, Device, House

RECORD = Path(__file__).parent.parent / "server" / "recorded" / "hawkbit-1.0.4.jsonl"
GATEWAY = "gateway-token-of-the-story"
SETTINGS = Settings(sleep="00:01:00", admission=Policy(gateway=proof(GATEWAY)))
ROLLOUTS = re.compile(r"ddi (poll|feedback) (second group|r\d\d)")
"""Exchanges with devices of rollouts, which server-lite does not run yet."""


@dataclass(frozen=True)
class Exchange:
    """One request to the real hawkBit, and what it answered."""

    step: int
    name: str
    method: str
    path: str
    auth: str
    headers: dict[str, str]
    body: Any
    status: int
    response_headers: dict[str, str]
    response: Any

    @property
    def device(self) -> bool:
        return "/controller/v1/" in self.path and not ROLLOUTS.match(self.name)


def recorded() -> list[Exchange]:
    with RECORD.open(encoding="utf-8") as file:
        documents = [json.loads(line) for line in file]
    names = [one.name for one in fields(Exchange)]
    return [Exchange(**{name: document[name] for name in names}) for document in documents]


@dataclass
class Story:
    """A server of ours in which the story happens."""

    house: House
    confirming: bool = False
    tokens: dict[str, str] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    """Ours, by those that the real one gave for the same."""

    def play(self) -> Iterator[tuple[Exchange, Answer]]:
        """Every exchange with a device, and what we answer."""
        for exchange in recorded():
            if exchange.device:
                yield exchange, self._ask(exchange)
            elif act := ACTS.get(exchange.name):
                act(self)

    def add(self, *names: str) -> None:
        for name in names:
            self.tokens[name] = self.house.control.carry_out(AddTarget(name))["token"]

    def assign(self, name: str, terms: Terms | None = None) -> None:
        order = Assign(name, "release:1.0", terms or Terms(), confirm=self.confirming)
        self.house.control.carry_out(order)

    def release(self) -> None:
        digests = self.house.artifacts.keep(io.BytesIO(FIRMWARE), len(FIRMWARE))
        file = Artifact("fw.raucb", digests.size, digests.sha256, digests.sha1, digests.md5)
        trust = {"flipside.trust": "https://example.invalid/root.json"}
        store = self.house.store
        module = SoftwareModule(store.new_id(SoftwareModule), "os", "1.0", "os", (file,), trust)
        key = store.new_id(DistributionSet)
        store.save(module, DistributionSet(key, "release", "1.0", (module.id,)))

    def ask_for_attributes(self, name: str) -> None:
        (target,) = self.house.store.find(Target, "controller_id", name)
        self.house.store.save(targets.asked(target))

    def cancel(self, name: str, *, force: bool = False) -> None:
        (target,) = self.house.store.find(Target, "controller_id", name)
        last = self.house.store.find(Action, "target", target.id)[-1]
        self.house.control.carry_out(Cancel(last.id, force))

    def _ask(self, exchange: Exchange) -> Answer:
        name = exchange.path.split("/")[4]
        device = Device(self.house, name, "")
        headers = {**self._translated(exchange.headers), "Authorization": self._shown(exchange)}
        url = "http://HOST" + exchange.path
        answer = device.call(exchange.method, url, exchange.body, headers)
        if etag := exchange.response_headers.get("etag"):
            self.etags[etag] = answer.headers.get("etag", "")
        return answer

    def _translated(self, headers: dict[str, str]) -> dict[str, str]:
        return {key: self.etags.get(value, value) for key, value in headers.items()}

    def _shown(self, exchange: Exchange) -> str:
        name = exchange.path.split("/")[4]
        shown = {
            "ddi wrong target token": "TargetToken wrong",
            "ddi token of another target": f"TargetToken {self.tokens['t2']}",
            "ddi wrong gateway token": "GatewayToken wrong",
            "ddi unknown target with target token": f"TargetToken {self.tokens['t2']}",
        }.get(exchange.name)
        kinds = {
            "none": "",
            "TargetToken": f"TargetToken {self.tokens.get(name)}",
            "GatewayToken": f"GatewayToken {GATEWAY}",
        }
        return shown or kinds[exchange.auth]


def _confirm(story: Story, *, on: bool) -> None:
    story.confirming = on


SOFT, ONLY = Terms(Urgency.SOFT), Terms(Urgency.DOWNLOAD_ONLY)
LATER = Terms(Urgency.TIMEFORCED, forced_at=10**13)
NIGHTS = Terms(window=checked_window("0 0 3 ? * * *", "01:00:00", "+01:00"))
ACTS: dict[str, Callable[[Story], None]] = {
    "targets create": lambda story: story.add(*(f"t{one}" for one in range(1, 10))),
    "ds create": lambda story: story.release(),
    "target request attributes": lambda story: story.ask_for_attributes("t2"),
    "assign forced": lambda story: story.assign("t2"),
    "assign again": lambda story: story.assign("t2"),
    "assign t3 default": lambda story: story.assign("t3"),
    "assign t4 default": lambda story: story.assign("t4"),
    "cancel action": lambda story: story.cancel("t4"),
    "cancel action again": lambda story: story.cancel("t4"),
    "assign t4 soft": lambda story: story.assign("t4", SOFT),
    "cancel action soft": lambda story: story.cancel("t4"),
    "cancel force quit": lambda story: story.cancel("t4", force=True),
    "assign t6 downloadonly": lambda story: story.assign("t6", ONLY),
    "assign t7 timeforced": lambda story: story.assign("t7", LATER),
    "assign t8 forced": lambda story: story.assign("t8", NIGHTS),
    "config confirmation on": lambda story: _confirm(story, on=True),
    "targets create for confirmation": lambda story: story.add("c1", "c2"),
    "assign c1 default": lambda story: story.assign("c1"),
    "assign c2 default": lambda story: story.assign("c2"),
    "config confirmation off": lambda story: _confirm(story, on=False),
}
"""What the operator did, by the names in the record; the rest changes no answer to a device."""


def told(path: Path) -> list[tuple[Exchange, Answer]]:
    """The whole story in a new server in this folder."""
    house = House(path, settings=SETTINGS, now=1_795_437_302_000)
    try:
        return list(Story(house).play())
    finally:
        house.store.close()
