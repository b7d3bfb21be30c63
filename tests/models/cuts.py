"""Every sequence of so many cuts through the life of a device.

A run of a world notes what each cut of it would leave. Two cuts that leave the same have the same
future, so each remainder is run once, and sequences are counted without being repeated: hundreds of
thousands of scenarios are a few thousand runs. ``test_model`` checks by brute force that this
shortcut changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from models.lasting import FACTORY, Lasting, Running
from models.scenario import Broken, Scenario
from models.world import World

Check = Callable[[World, int], None]
"""Looks at a world that came to rest after so many cuts, and raises Broken."""


@dataclass(slots=True)
class _Node:
    """One remainder: what is left after some cut, and what its own cuts leave."""

    left: Lasting
    running: Running | None
    story: tuple[str, ...]
    """The shortest sequence of cuts that leads here."""
    next: Counter[int] = field(default_factory=Counter)
    """How many cuts lead to which remainder."""


@dataclass(slots=True)
class Tally:
    """How much was tried."""

    scenarios: int = 0
    """Sequences of cuts, the empty one included."""
    runs: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.scenarios + other.scenarios, self.runs + other.runs)


def explore(scenario: Scenario, depth: int, check: Check, start: Lasting = FACTORY) -> Tally:
    """Try every sequence of at most ``depth`` cuts."""
    start = replace(start, faults=scenario.faults)
    last = scenario.outage[1]
    numbers = {start.key(None, last): 0}
    nodes = [_Node(start, None, ())]
    done = 0
    for cuts in range(depth + 1):
        frontier, done = nodes[done:], len(nodes)
        for node in frontier:
            world = World(scenario, node.left, node.running, noting=cuts < depth)
            _run(world, node, cuts, check)
            for cut in world.power.cuts:
                number = numbers.setdefault(cut.left.key(cut.running, last), len(nodes))
                node.next[number] += 1
                if number == len(nodes):
                    nodes.append(_Node(cut.left, cut.running, (*node.story, cut.where)))
    return Tally(_sequences(nodes, depth), done)


def _run(world: World, node: _Node, cuts: int, check: Check) -> None:
    try:
        world.run()
        check(world, cuts)
    except Broken as error:
        story = " / ".join(node.story) or "none"
        told = f"scenario: {world.scenario}\ncuts: {story}\nthen: {', '.join(world.trace[-60:])}"
        raise Broken(f"{error}\n{told}") from error


def _sequences(nodes: list[_Node], depth: int) -> int:
    """Sequences of 0, 1, ... ``depth`` cuts from the first node on."""
    ways = Counter({0: 1})
    total = 1
    for _ in range(depth):
        further: Counter[int] = Counter()
        for number, times in ways.items():
            for reached, cuts in nodes[number].next.items():
                further[reached] += times * cuts
        ways = further
        total += ways.total()
    return total
