"""GRUB's environment block: 1024 bytes of ``name=value`` lines behind a signature.

Format: GRUB manual, "The GRUB environment block", and grub-core/lib/envblk.c.
The block begins with the signature line, lines end with a newline, a backslash escapes
a backslash and a newline inside a value, and ``#`` pads the rest.

GRUB itself accepts any block of this size; we keep every variable within the first 512 bytes,
because a disk writes a sector of 512 bytes whole or not at all (`Flipside boot state`, ADR 5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flipside_bootctl.errors import DamagedState

if TYPE_CHECKING:
    from collections.abc import Mapping

SIZE = 1024
SECTOR = 512
SIGNATURE = b"# GRUB Environment Block\n"


def encode(variables: Mapping[str, str], room: int = SECTOR) -> bytes:
    """The block that holds these variables, in this order, within so many bytes."""
    lines = b"".join(_line(name, value) for name, value in variables.items())
    text = SIGNATURE + lines
    if len(text) > room:
        raise ValueError(f"variables of {len(text)} bytes, expected at most {room}")
    return text.ljust(SIZE, b"#")


def decode(block: bytes) -> dict[str, str]:
    """The variables of a block; raises DamagedState if GRUB would not read it either."""
    if len(block) != SIZE:
        raise DamagedState(f"environment block of {len(block)} bytes, expected {SIZE}")
    if not block.startswith(SIGNATURE):
        raise DamagedState("environment block without GRUB's signature")
    return dict(_entries(block[len(SIGNATURE) :]))


def _line(name: str, value: str) -> bytes:
    escaped = f"{name}={value}".replace("\\", "\\\\").replace("\n", "\\\n")
    return f"{escaped}\n".encode(errors="surrogateescape")


def _entries(body: bytes) -> list[tuple[str, str]]:
    """Entries up to the padding; lines that begin with ``#`` are comments, as GRUB reads them."""
    entries = []
    for line in _lines(body):
        name, equals, value = line.partition(b"=")
        if line.startswith(b"#") or not equals:
            continue
        entries.append((_text(name), _text(value)))
    return entries


def _lines(body: bytes) -> list[bytes]:
    """Lines with their escapes resolved; an unfinished last line is padding."""
    body = body[: body.rfind(b"\n") + 1]
    if b"\\" not in body:
        return body.split(b"\n")[:-1]
    lines, line, escaped = [], bytearray(), False
    for byte in body:
        char = bytes([byte])
        if escaped:
            line += char
            escaped = False
        elif char == b"\\":
            escaped = True
        elif char == b"\n":
            lines.append(bytes(line))
            line.clear()
        else:
            line += char
    return lines


def _text(raw: bytes) -> str:
    """Bytes that are no UTF-8 come as surrogates (PEP 383), so that others' variables last."""
    return raw.decode("utf-8", errors="surrogateescape")
