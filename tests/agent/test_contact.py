"""The line to the server: its pace, its outages, its errands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from flipside_agent.contact import FIRST, LONGEST, Line
from flipside_agent.errors import AgentError, NetworkError, ServerError, Unavailable
from flipside_agent.ports import Poll
from flipside_agent.update import Outcome, Update
from models.virtual_time import run_virtually


@dataclass
class Server:
    """Answers polls at once, or fails them, and remembers when it was asked."""

    answer: Callable[[float], Poll | AgentError]
    asked: list[float] = field(default_factory=list)

    async def poll(self) -> Poll:
        now = asyncio.get_running_loop().time()
        self.asked.append(now)
        said = self.answer(now)
        if isinstance(said, AgentError):
            raise said
        return said

    async def report(self, update: Update, outcome: Outcome) -> None: ...
    async def progress(self, action: str, sentence: str) -> None: ...
    async def answer_cancel(self, action: str, *, accepted: bool, reason: str) -> None: ...
    async def send_attributes(self, attributes: dict[str, str]) -> None: ...


def steadily() -> float:
    """No scatter."""
    return 1.0


def away(until: float, error: AgentError) -> Callable[[float], Poll | AgentError]:
    return lambda now: error if now < until else Poll(60)


async def polls(line: Line, count: int) -> None:
    for _ in range(count):
        await line.next()


def test_the_first_question_is_asked_at_once_and_the_rest_at_the_servers_pace() -> None:
    server = Server(lambda _now: Poll(60))
    run_virtually(polls(Line(server, steadily), 3))
    assert server.asked == [0, 60, 120]


def test_a_server_that_is_away_is_asked_ever_less_often_but_never_too_seldom() -> None:
    server = Server(away(600, NetworkError("no route")))
    run_virtually(polls(Line(server, steadily), 2))
    pauses = [later - earlier for earlier, later in pairwise(server.asked)]
    assert pauses[:-1] == [FIRST, 10, 20, 40, 80, LONGEST, LONGEST, LONGEST, LONGEST]
    assert pauses[-1] == 60


def test_nonsense_is_an_outage_too() -> None:
    server = Server(away(20, ServerError("no JSON")))
    run_virtually(polls(Line(server, steadily), 1))
    assert server.asked == [0, 5, 15, 35]


def test_a_server_may_ask_to_be_left_alone_for_longer_but_not_for_ever() -> None:
    server = Server(away(1, Unavailable("503", retry_after=100)))
    run_virtually(polls(Line(server, steadily), 1))
    assert server.asked == [0, 100]
    server = Server(away(1, Unavailable("503", retry_after=1e9)))
    run_virtually(polls(Line(server, steadily), 1))
    assert server.asked == [0, LONGEST]


def test_who_waits_for_the_server_hastens_the_next_question() -> None:
    server = Server(lambda now: NetworkError("no route") if 100 < now < 130 else Poll(3600))

    async def story() -> float:
        line = Line(server, steadily)
        await line.next()
        mail = asyncio.create_task(line.next())
        await asyncio.sleep(100)
        waiting = asyncio.create_task(line.regained(0))
        await mail
        assert not waiting.done()  # known only when the answer has been dealt with
        following = asyncio.create_task(line.next())
        await waiting
        following.cancel()
        return asyncio.get_running_loop().time()

    # It hears that the network went away, waits, and asks, and asks again.
    assert run_virtually(story()) == 140
    assert server.asked == [0, 105, 110, 120, 140]


def test_the_more_patience_was_spent_the_later_the_server_is_asked() -> None:
    server = Server(lambda _now: Poll(36000))

    async def story(spent: int) -> float:
        line = Line(server, steadily)
        await line.next()
        mail = asyncio.create_task(line.next())
        waiting = asyncio.create_task(line.regained(spent))
        await mail
        following = asyncio.create_task(line.next())
        await waiting
        following.cancel()
        return asyncio.get_running_loop().time()

    assert [run_virtually(story(spent)) for spent in (0, 1, 3, 40)] == [5, 10, 40, LONGEST]


def test_errands_are_run_before_the_next_question_and_may_fail() -> None:
    server = Server(lambda _now: Poll(60))
    done: list[str] = []

    async def fails() -> None:
        done.append("failed")
        raise NetworkError("no route")

    async def works() -> None:
        done.append("worked")

    run_virtually(Line(server, steadily).next([fails, works]))
    assert done == ["failed", "worked"]
    assert server.asked == [0]
