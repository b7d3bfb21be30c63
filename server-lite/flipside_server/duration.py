"""Spans of time as operators and hawkBit write them."""

from __future__ import annotations

import re

from flipside_server.errors import OperatorError

_DURATION = re.compile(r"([0-9]{1,3}):([0-5][0-9]):([0-5][0-9])")


def seconds(text: str) -> int:
    """The seconds in HH:MM:SS, if they are more than none."""
    found = _DURATION.fullmatch(text)
    span = int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3]) if found else 0
    if not span:
        raise OperatorError(f"the duration {text!r} cannot be used: give HH:MM:SS")
    return span


def written(span: int) -> str:
    """So many seconds as HH:MM:SS."""
    return f"{span // 3600:02d}:{span // 60 % 60:02d}:{span % 60:02d}"
