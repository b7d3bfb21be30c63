"""The command ``flipside-server audit``: proves the audit log, and signs how far it goes."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flipside_server.audit import (
    Chain,
    Checkpoint,
    checkpoint_line,
    checkpoints_in,
    contradiction,
    followed,
)
from flipside_server.directory import DataDirectory
from flipside_server.errors import OperatorError, StorageError


@dataclass(frozen=True, slots=True)
class Followed:
    """A log that was followed to its end."""

    chain: Chain
    heads: dict[int, str]
    """The hashes of the lines that were asked for, by number."""
    under_way: bool
    """The last line is not whole: it is being written, or a cut tore it."""


def add_command(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add its parser."""
    audit = commands.add_parser("audit", help="who did what, and that nobody changed it")
    verbs = audit.add_subparsers(required=True, metavar="VERB")
    verify = verbs.add_parser("verify", parents=[shared], help="prove the log line by line")
    verify.add_argument(
        "--checkpoints",
        type=Path,
        metavar="FILE",
        help="signed checkpoints (default: those in the data directory)",
    )
    verify.add_argument("--public", type=Path, metavar="FILE", help="the key they are signed with")
    verify.set_defaults(run=_verify)
    checkpoint = verbs.add_parser(
        "checkpoint", parents=[shared], help="sign how far the log goes; prints the checkpoint"
    )
    checkpoint.add_argument("--key", type=Path, required=True, metavar="FILE")
    checkpoint.add_argument(
        "--checkpoints", type=Path, metavar="FILE", help="add it to this file (default: as above)"
    )
    checkpoint.set_defaults(run=_checkpoint)
    key = verbs.add_parser("key", help="make a key to sign with, and FILE.pub to check with")
    key.add_argument("file", type=Path, metavar="FILE")
    key.set_defaults(run=_key)


def _key(options: argparse.Namespace) -> None:
    from flipside_server.signing import make_key

    print(f"sign with {options.file}, check with {make_key(options.file)}")


def _verify(options: argparse.Namespace) -> None:
    known = _checkpoints(_place(options))
    found = _proven(options, known, options.public)
    print(f"{_log(options)}: {found.chain.number} lines, each follows from the one before it")
    if found.under_way:
        print("a last line is being written, or was torn by a cut; the next start mends that")
    if not known:
        print("no checkpoint: whether lines were cut off the end, nobody can tell")
        return
    last = max(one.number for one in known)
    print(f"{len(known)} checkpoints hold, the last for line {last}, signed by {known[-1].key}")
    if options.public is None:
        print("give --public to know that these are signatures of yours")


def _checkpoint(options: argparse.Namespace) -> None:
    from flipside_server.signing import signed

    place = _place(options)
    # What is broken is not signed: a fresh checkpoint would make it look sound.
    found = _proven(options, _checkpoints(place), None)
    now = time.time_ns() // 1_000_000
    made = signed(Checkpoint(found.chain.number, found.chain.head, now), options.key)
    line = checkpoint_line(made)
    try:
        file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "wb") as stream:
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise StorageError(f"cannot add to {place}: {error.strerror}") from error
    print(line.decode().strip())


def _proven(options: argparse.Namespace, known: list[Checkpoint], public: Path | None) -> Followed:
    from flipside_server.signing import is_signed, public_key

    ours = public_key(public) if public else None
    found = _followed(_log(options), {one.number for one in known})
    for number, one in enumerate(known, start=1):
        where = f"checkpoint {number} of {_place(options)}"
        if not is_signed(one):
            raise StorageError(f"{where} is not signed by the key that it names: it was changed")
        if ours is not None and one.key != ours:
            raise StorageError(f"{where} is signed by another key than {public}")
        if fault := contradiction(one, found.heads, found.chain.number):
            raise StorageError(f"{where} does not match {_log(options)}: {fault}")
    return found


def _followed(log: Path, wanted: set[int]) -> Followed:
    chain, heads = Chain(), {0: Chain().head}
    for number, line in enumerate(_lines(log), start=1):
        if not line.endswith(b"\n"):
            return Followed(chain, heads, under_way=True)
        match followed(chain, line):
            case str(fault):
                raise StorageError(f"line {number} of {log} {fault}")
            case Chain() as chain:
                if number in wanted:
                    heads[number] = chain.head
    return Followed(chain, heads, under_way=False)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            yield from stream
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error


def _checkpoints(path: Path) -> list[Checkpoint]:
    if not path.exists():
        return []
    found = checkpoints_in(_lines(path))
    kept = [one for one in found if one is not None]
    if len(kept) < len(found):
        raise StorageError(f"line {found.index(None) + 1} of {path} is no checkpoint")
    return kept


def _place(options: argparse.Namespace) -> Path:
    place: Path = options.checkpoints or DataDirectory(options.data).checkpoints
    return place


def _log(options: argparse.Namespace) -> Path:
    path = DataDirectory(options.data).audit
    if not path.exists():
        raise OperatorError(f"there is no audit log {path}: name the data directory with --data")
    return path
