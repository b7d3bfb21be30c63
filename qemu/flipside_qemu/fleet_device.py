"""One model device: the agent's own main loop, machine and journal over a board that is none."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import NoReturn

from flipside_agent.contact import Line
from flipside_agent.herald import Herald
from flipside_agent.journal import Journal, MemoryPages
from flipside_agent.payment import Payment
from flipside_agent.runner import Runner
from flipside_agent.service import Ports, Service
from flipside_agent.states import status, under_way
from flipside_agent.update import Outcome, Update
from flipside_bootctl import __version__
from flipside_qemu.fleet_board import Board, Nature
from flipside_qemu.fleet_dialogue import Dialogue
from flipside_qemu.fleet_ending import Ending
from flipside_qemu.fleet_fate import Dice
from flipside_qemu.fleet_request import Caller
from flipside_qemu.fleet_tally import OFF, Tally
from flipside_qemu.fleet_wire import Network, Wire
from flipside_qemu.fleet_world import boot

_TICK = 3600.0
"""Seconds between two signs of life; no systemd waits for them."""


class Device:
    """A device that lives until it is cancelled."""

    def __init__(
        self, name: str, nature: Nature, seed: int, network: Network, caller: Caller
    ) -> None:
        self.name = name
        self._nature = nature
        self._tally = network.tally
        dice = Dice(seed, name)
        self._board = Board(nature, dice, network, caller)
        self._journal = Journal(MemoryPages())
        self._random = random.Random(f"{seed}/{name}").random  # noqa: S311 - back-off, no secret
        self.wire = Wire(network, caller.home.site, kept=caller.kept)
        self.dialogue = Dialogue(caller, self.wire, nature.poll_factor, self._reported)

    async def live(self, delay: float) -> NoReturn:
        """Be switched on after a while, and live from start to start."""
        self._tally.moved(self.name, OFF)
        await asyncio.sleep(delay)
        while True:
            await self._board.come_up()
            await self._run()
            self._tally.moved(self.name, OFF)

    async def _run(self) -> None:
        """Run the agent until the power goes off; an error that ends it is a bug of ours."""
        agent = asyncio.create_task(self._agent().run())
        off = asyncio.create_task(self._board.off.wait())
        try:
            await asyncio.wait((agent, off), return_when=asyncio.FIRST_COMPLETED)
            if agent.done():
                agent.result()
        finally:
            agent.cancel()
            off.cancel()
            await asyncio.gather(agent, off, return_exceptions=True)
            self.wire.close()

    def _agent(self) -> Service:
        board = self._board
        start = boot(board.world)
        runner = Runner(self._journal, start)
        sign = _Sign(self.name, runner, board, self._tally)
        herald = Herald(self.dialogue, sign)
        line = Line(self.dialogue, self._random)
        board.tell = herald.progress
        payment = Payment(board, board, board, self.dialogue, line, board)
        ports = Ports(payment, self.dialogue, line, herald, sign, self._random)
        attributes = {
            "board": "fleet",
            "version": start.version,
            "slot": start.slot,
            "agent": __version__,
        }
        return Service(runner, ports, start, attributes, _TICK)

    def _reported(self, update: Update, outcome: Outcome, taken: bool) -> None:
        board = self._board
        own = board.fate(update.action)
        self._tally.ended(Ending(self.name, update, outcome, own, board.world, taken))


@dataclass(frozen=True, slots=True)
class _Sign:
    """Shows where the device is: the agent's notifier port."""

    name: str
    runner: Runner
    board: Board
    tally: Tally

    def ready(self) -> None:
        """Nobody waits for it."""

    def watchdog(self) -> None:
        """Nobody watches."""

    def status(self, sentence: str) -> None:
        """The agent says something, so it may be somewhere else now."""
        state = self.runner.state
        update = under_way(state)
        self.board.action = update.action if update else ""
        self.tally.moved(self.name, status(state))
