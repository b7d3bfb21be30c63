"""Log lines that programs can read: ``key=value``, or JSON, one line for each event.

What devices choose stands in some of them: no control character gets through, so that nobody
writes a line that the server did not say, or steers a terminal.
"""

from __future__ import annotations

import json
import logging
import re
import time
from enum import StrEnum
from typing import Any, TextIO

_PAIRS = re.compile(r"(?:[a-z_]+ )?[a-z_]+=\S*(?: [a-z_]+=\S*)*")
_PAIR = re.compile(r"([a-z_]+)=(\S*)")
_PRIORITIES = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}
"""syslog(3), as journald reads them at the beginning of a line (sd-daemon(3))."""


class Shape(StrEnum):
    """How a line looks."""

    TEXT = "text"
    JSON = "json"


class Lines:
    """A formatter of log records."""

    def __init__(self, shape: Shape, *, journal: bool) -> None:
        self._shape = shape
        self._journal = journal
        """The lines go to journald, which has a clock of its own and wants the priority."""
        self._traces = logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        message = record.getMessage()
        fields: dict[str, Any] = {} if self._journal else {"time": _moment(record.created)}
        fields |= {"level": record.levelname.lower(), "at": record.name.rpartition(".")[2]}
        if _PAIRS.fullmatch(message):
            word = re.match(r"([a-z_]+) ", message)
            fields |= {"event": word[1]} if word else {}
            fields |= dict(_PAIR.findall(message))
        else:
            fields["message"] = message
        if record.exc_info:
            fields["trace"] = self._traces.formatException(record.exc_info)
        line = json.dumps(fields) if self._shape is Shape.JSON else _text(fields)
        return f"<{_PRIORITIES.get(record.levelname, 6)}>{line}" if self._journal else line


def log_to(stream: TextIO, lines: Lines, level: int) -> None:
    """Have everything that is logged from now on written there."""
    handler = logging.StreamHandler(stream)
    shaped: Any = lines  # a formatter in all but ancestry
    handler.setFormatter(shaped)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level)


def _text(fields: dict[str, Any]) -> str:
    return " ".join(f"{key}={_quoted(str(value))}" for key, value in fields.items())


def _quoted(text: str) -> str:
    plain = bool(text) and text.isprintable() and not re.search(r'[\s"=]', text)
    return text if plain else json.dumps(text)


def _moment(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"
