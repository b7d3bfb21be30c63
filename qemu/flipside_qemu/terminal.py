"""The terminal at the harness's end of a serial line: bytes in, plain text and answers out."""

from __future__ import annotations

import codecs
import re

_ESCAPE = re.compile(
    r"\x1b(?:"
    r"\[[0-?]*[ -/]*[@-~]"  # control sequence: colour, cursor, clear
    r"|[\]P][^\x07\x1b]*(?:\x07|\x1b\\)"  # operating system command, device control string
    r"|[ -/]*[0-OQ-Z\\^-~]"  # everything else: character sets, keypad modes
    r")"
)
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]P][^\x07\x1b]*\x1b?|[ -/]*)\Z")
_LONGEST = 512
"""Characters of an unfinished sequence after which it is taken for noise."""

_JUMP = re.compile(r"(?:\x1b\[[0-9;]*[HJf])+")
"""Clearing or jumping about, as firmware and GRUB do: what follows is a new line."""
_POSITION_QUERY = "\x1b[6n"
_POSITION = b"\x1b[50;200R"
"""Where the cursor is said to be. systemd and agetty jump to the far corner and ask, to learn the
size; wide enough that a shell does not wrap the commands that it echoes."""
_NOISE = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]")
"""Control characters other than tab, newline and escape; carriage returns among them."""


class Terminal:
    """A dumb terminal that answers what systemd, agetty and shells ask before they go on."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def feed(self, data: bytes) -> tuple[str, bytes]:
        """The text that these bytes add, and the bytes that must be answered."""
        text = self._rest + self._decoder.decode(data)
        text, self._rest = _split(text)
        answers = _POSITION * text.count(_POSITION_QUERY)
        text = _ESCAPE.sub("", _JUMP.sub("\n", text))
        return _NOISE.sub("", text).replace("\x1b", ""), answers


def _split(text: str) -> tuple[str, str]:
    """The text without, and only, the escape sequence that has not wholly arrived."""
    unfinished = _UNFINISHED.search(text)
    if unfinished is None or len(unfinished[0]) > _LONGEST:
        return text, ""
    return text[: unfinished.start()], unfinished[0]
