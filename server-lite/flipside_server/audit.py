"""The audit log as a chain of lines: each carries the hash of the one before it.

Who changes, drops, adds or moves a line has to change every line after it, and cannot change a
checkpoint: the number and hash of a line, signed by a key that need not lie on the server.
Lines that were cut off the end are missed by a checkpoint alone, best one that was kept elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flipside_server.note import Note

NOTHING = "0" * 64
"""What the first line carries in place of a hash."""


@dataclass(frozen=True, slots=True)
class Chain:
    """How far a log goes."""

    number: int = 0
    """Of the last line, counted from 1."""
    head: str = NOTHING
    """SHA-256 of the last line, without its line feed, in hex."""
    note: int = 0
    """The id of the last note that was told."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was signed about a log."""

    number: int
    head: str
    at: int
    """Milliseconds since 1970."""
    key: str = ""
    """The public key, 32 bytes in hex."""
    signature: str = ""
    """Ed25519 over ``statement``, 64 bytes in hex."""

    def statement(self) -> bytes:
        """The bytes that are signed."""
        return f"flipside audit checkpoint\n{self.number}\n{self.head}\n{self.at}\n".encode()


def told(chain: Chain, note: Note) -> tuple[bytes, Chain]:
    """The line that tells the note, and the chain with it."""
    said = {
        "number": chain.number + 1,
        "before": chain.head,
        "note": note.id,
        "at": note.at,
        "who": note.who,
        "what": note.what,
        "details": dict(note.details),
    }
    line = json.dumps(said, separators=(",", ":")).encode()
    return line + b"\n", Chain(chain.number + 1, digest(line), note.id)


def followed(chain: Chain, line: bytes) -> Chain | str:
    """The chain with this line, or what is wrong with the line, in words."""
    said = _parsed(line)
    if said is None:
        return "is no line of an audit log"
    number, before, note = said
    if number != chain.number + 1:
        return f"has number {number}, expected {chain.number + 1}: lines are missing or were moved"
    if before != chain.head:
        return "does not follow from the line before it: one of the two was changed"
    return Chain(number, digest(line.removesuffix(b"\n")), note)


def resumed(line: bytes, count: int) -> Chain:
    """The chain at its last line, which is taken as it is; with this count if it says none."""
    number, _, note = _parsed(line) or (count, "", 0)
    return Chain(number, digest(line.removesuffix(b"\n")), note)


def note_in(line: bytes, otherwise: int) -> int:
    """The id of the note that a line tells; another number if it tells none."""
    said = _parsed(line)
    return said[2] if said else otherwise


def digest(line: bytes) -> str:
    """The hash that the next line carries."""
    return hashlib.sha256(line).hexdigest()


def contradiction(checkpoint: Checkpoint, heads: Mapping[int, str], last: int) -> str:
    """How a log with these heads contradicts the checkpoint, in words; empty if it does not."""
    if checkpoint.number > last:
        return (
            f"the log ends at line {last}, but line {checkpoint.number} was there when the "
            "checkpoint was signed: its end was cut off"
        )
    if heads.get(checkpoint.number, NOTHING) != checkpoint.head:
        return f"line {checkpoint.number} is not the one that the checkpoint was signed for"
    return ""


def checkpoint_line(checkpoint: Checkpoint) -> bytes:
    """A checkpoint as a line of JSON."""
    said = {
        "number": checkpoint.number,
        "head": checkpoint.head,
        "at": checkpoint.at,
        "key": checkpoint.key,
        "signature": checkpoint.signature,
    }
    return json.dumps(said).encode() + b"\n"


def checkpoints_in(lines: Iterable[bytes]) -> list[Checkpoint | None]:
    """The checkpoints in these lines; None for a line that is none."""
    return [_checkpoint(line) for line in lines if line.strip()]


def _checkpoint(line: bytes) -> Checkpoint | None:
    match _json(line):
        case {
            "number": int(number),
            "head": str(head),
            "at": int(at),
            "key": str(key),
            "signature": str(signature),
        }:
            return Checkpoint(number, head, at, key, signature)
        case _:
            return None


def _parsed(line: bytes) -> tuple[int, str, int] | None:
    """Number, hash of the line before, and note."""
    match _json(line):
        case {"number": int(number), "before": str(before), "note": int(note)}:
            return (number, before, note) if line.endswith(b"\n") else None
        case _:
            return None


def _json(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
