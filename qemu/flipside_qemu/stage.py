"""Where the demo is shown: live in a terminal, or as plain lines where there is none."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from flipside_qemu.evidence import Finding
from flipside_qemu.story import STORY, Chapter

_LINES = 14


class Stage(Protocol):
    """Shows what happens; never decides anything."""

    def say(self, line: str) -> None: ...
    def begin(self, chapter: Chapter) -> None: ...
    def device(self, line: str) -> None: ...
    def server(self, line: str) -> None: ...
    def end(self, finding: Finding) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


class PlainStage:
    """Lines for a log file: who said it, and when."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def say(self, line: str) -> None:
        """Something about the work itself."""
        self._line("demo", line)

    def begin(self, chapter: Chapter) -> None:
        """The next version is offered."""
        self._line("demo", f"version {chapter.version}: {chapter.plot}")

    def device(self, line: str) -> None:
        """The device's console has a new line."""
        self._line("device", line)

    def server(self, line: str) -> None:
        """The server was told something new."""
        self._line("server", line)

    def end(self, finding: Finding) -> None:
        """A version is done with."""
        verdict = "as expected" if finding.holds else "; ".join(finding.contradictions)
        self._line("demo", f"version {finding.chapter.version}: {finding.happened}, {verdict}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is to be tidied up."""

    def _line(self, who: str, line: str) -> None:
        seconds = time.monotonic() - self._started
        sys.stdout.write(f"{seconds:7.1f}  {who:6}  {line}\n")
        sys.stdout.flush()


class LiveStage:
    """One picture that is drawn anew: the story above, device and server side by side."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, get_renderable=self._picture)
        self._lock = threading.Lock()
        self._device: deque[str] = deque(maxlen=_LINES)
        self._server: deque[str] = deque(maxlen=_LINES)
        self._note = ""
        self._current: Chapter | None = None
        self._findings: dict[str, Finding] = {}
        self._started = time.monotonic()

    def say(self, line: str) -> None:
        """Something about the work itself."""
        with self._lock:
            self._note = line

    def begin(self, chapter: Chapter) -> None:
        """The next version is offered."""
        with self._lock:
            self._current, self._note = chapter, ""
            self._server.append(f"— version {chapter.version} is offered —")

    def device(self, line: str) -> None:
        """The device's console has a new line."""
        with self._lock:
            self._device.append(line)

    def server(self, line: str) -> None:
        """The server was told something new."""
        with self._lock:
            self._server.append(line)

    def end(self, finding: Finding) -> None:
        """A version is done with."""
        with self._lock:
            self._findings[finding.chapter.version] = finding
            self._current = None

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def _picture(self) -> RenderableType:
        with self._lock:
            return Group(self._story(), self._dialogue(), self._foot())

    def _story(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for chapter in STORY:
            table.add_row(self._mark(chapter), f"v{chapter.version}", escape(chapter.plot))
        return Panel(table, title="Flipside", title_align="left")

    def _mark(self, chapter: Chapter) -> Text:
        finding = self._findings.get(chapter.version)
        if finding is not None:
            return Text("✓", "bold green") if finding.holds else Text("✗", "bold red")
        return Text("▶", "bold yellow") if chapter is self._current else Text("·", "dim")

    def _dialogue(self) -> RenderableType:
        table = Table.grid(expand=True)
        table.add_column(ratio=1)
        table.add_column(ratio=1)
        table.add_row(
            _panel("what the device does", self._device),
            _panel("what the server believes", self._server),
        )
        return table

    def _foot(self) -> RenderableType:
        done = len(self._findings)
        seconds = int(time.monotonic() - self._started)
        foot = Table.grid(padding=(0, 2))
        foot.add_row(
            ProgressBar(total=len(STORY), completed=done, width=30),
            f"{done} of {len(STORY)} updates, {seconds // 60}:{seconds % 60:02} min",
            Text(self._note, "dim"),
        )
        return foot


def _panel(title: str, lines: deque[str]) -> RenderableType:
    shown = [*lines, *[""] * (_LINES - len(lines))]
    text = Text("\n".join(shown), no_wrap=True, overflow="ellipsis")
    return Panel(text, title=title, title_align="left")


def stage() -> Stage:
    """The stage that this terminal can bear."""
    console = Console()
    return LiveStage(console) if console.is_terminal else PlainStage()
