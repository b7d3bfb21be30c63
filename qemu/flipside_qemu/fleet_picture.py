"""What a person sees of a living fleet: a picture in a terminal, else a line now and then."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from typing import Final, NoReturn, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from flipside_agent.states import Status
from flipside_qemu.fleet_request import Kind
from flipside_qemu.fleet_tally import OFF, Tally

_PLACES: Final = (OFF, *Status)
_GLANCE = 0.5
"""Seconds between two pictures."""
_BREATH = 5.0
"""Seconds between two plain lines; rates are those of as long."""
_SENTENCES = 4


class Picture(Protocol):
    """Shows a fleet until it is cancelled; never decides anything."""

    async def watch(self) -> NoReturn: ...


class Pace:
    """How fast counts grow: over the last seconds, not since the beginning."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, dict[Kind, int]]] = deque()

    def rates(self, now: float, tally: Tally) -> dict[Kind, float]:
        """Requests of each kind, per second."""
        counts = {kind: durations.count for kind, durations in tally.requests.items()}
        while self._seen and now - self._seen[0][0] > _BREATH:
            self._seen.popleft()
        self._seen.append((now, counts))
        then, before = self._seen[0]
        elapsed = now - then
        if not elapsed:
            return dict.fromkeys(counts, 0.0)
        return {kind: (count - before.get(kind, 0)) / elapsed for kind, count in counts.items()}


class PlainPicture:
    """One line every few seconds."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._pace = Pace()
        self._started = time.monotonic()

    async def watch(self) -> NoReturn:
        """Write lines."""
        while True:
            await asyncio.sleep(_BREATH)
            sys.stdout.write(self.line() + "\n")
            sys.stdout.flush()

    def line(self) -> str:
        """How it stands, in one line."""
        tally, now = self._tally, time.monotonic()
        polls = self._pace.rates(now, tally).get(Kind.POLL, 0.0)
        places = (f"{tally.states[place]} {place}" for place in _PLACES if tally.states[place])
        verdicts = (f"{count} {name}" for name, count in tally.verdicts().items() if count)
        parts = [", ".join(places), f"{polls:.0f} polls/s", ", ".join(verdicts) or "none ended"]
        if errors := tally.errors.total():
            parts.append(f"{errors} errors, the most common: {tally.errors.most_common(1)[0][0]}")
        return f"{now - self._started:7.1f}  " + "; ".join(parts)


class LivePicture:
    """The whole fleet on one screen, drawn anew twice a second."""

    def __init__(self, tally: Tally, size: int, title: str, console: Console) -> None:
        self._tally = tally
        self._size = size
        self._title = title
        self._console = console
        self._pace = Pace()
        self._started = time.monotonic()

    async def watch(self) -> NoReturn:
        """Draw. Not by rich's own thread: what is drawn changes in this one."""
        with Live(console=self._console, auto_refresh=False) as live:
            try:
                while True:
                    live.update(self.picture(), refresh=True)
                    await asyncio.sleep(_GLANCE)
            finally:
                live.update(self.picture(), refresh=True)

    def picture(self) -> RenderableType:
        """How it stands."""
        above = Table.grid(expand=True)
        above.add_column(ratio=2)
        above.add_column(ratio=3)
        above.add_row(
            Panel(self._places(), title=Text(self._title), title_align="left"),
            Panel(self._requests(), title="requests", title_align="left"),
        )
        return Group(above, *self._complaints(), self._foot())

    def _places(self) -> RenderableType:
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column()
        table.add_column(justify="right")
        table.add_column(ratio=1)
        for place in _PLACES:
            count = self._tally.states[place]
            bar = ProgressBar(total=max(1, self._size), completed=count)
            table.add_row(Text(place, "" if count else "dim"), f"{count:,}", bar)
        return table

    def _requests(self) -> RenderableType:
        table = Table.grid(padding=(0, 1), expand=True)
        headings = ("", "all", "/s", "p50 ms", "p99 ms")
        for heading in headings:
            table.add_column(justify="right" if heading else "left")
        table.add_row(*(Text(heading, "dim") for heading in headings))
        rates = self._pace.rates(time.monotonic(), self._tally)
        for kind in Kind:
            if kind not in self._tally.requests:
                continue
            one = self._tally.requests[kind]
            p50, p99 = 1e3 * one.quantile(0.5), 1e3 * one.quantile(0.99)
            cells = (f"{one.count:,}", f"{rates[kind]:,.0f}", f"{p50:,.1f}", f"{p99:,.1f}")
            table.add_row(kind, *cells)
        return table

    def _complaints(self) -> list[RenderableType]:
        found = self._tally.errors.most_common(_SENTENCES)
        if not found:
            return []
        lines = "\n".join(f"{count:>7,} x {sentence}" for sentence, count in found)
        text = Text(lines, no_wrap=True, overflow="ellipsis")
        return [Panel(text, title="errors", title_align="left", border_style="red")]

    def _foot(self) -> RenderableType:
        tally = self._tally
        seconds = int(time.monotonic() - self._started)
        verdicts = ", ".join(f"{count:,} {name}" for name, count in tally.verdicts().items())
        cells: list[RenderableType] = [f"updates: {verdicts}"]
        if tally.goal:
            bar = ProgressBar(total=max(1, self._size), completed=tally.arrived, width=30)
            cells = [bar, f"{tally.arrived:,} of {self._size:,} devices have arrived", *cells]
        foot = Table.grid(padding=(0, 2))
        foot.add_row(*cells, Text(f"{seconds // 60}:{seconds % 60:02} min", "dim"))
        return foot


def picture(tally: Tally, size: int, title: str, *, plain: bool = False) -> Picture:
    """The picture that this terminal can bear."""
    console = Console()
    if plain or not console.is_terminal:
        return PlainPicture(tally)
    return LivePicture(tally, size, title, console)
