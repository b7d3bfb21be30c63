"""Where a passphrase comes from: a terminal or a file, never a command line."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Final

from flipside_release.errors import OperatorError, WorkstationError

SHORTEST: Final = 8
"""In bytes; NIST SP 800-63B's least for a secret that a person remembers."""


def choose(file: Path | None) -> bytes:
    """A new passphrase, typed twice where it is typed."""
    if file is not None:
        return _long_enough(from_file(file))
    passphrase = _long_enough(_typed("New passphrase for the private keys: "))
    if _typed("The same again: ") != passphrase:
        raise OperatorError("The two passphrases differ: nothing was made.")
    return passphrase


def obtain(file: Path | None, owner: str) -> bytes:
    """The passphrase of an existing key."""
    return from_file(file) if file is not None else _typed(f"Passphrase for {owner}: ")


def from_file(path: Path) -> bytes:
    """The first line of a file, without its line break."""
    try:
        with path.open("rb") as file:
            line = file.readline().rstrip(b"\r\n")
    except OSError as error:
        raise WorkstationError(
            f"Cannot read the passphrase in {path}: {error.strerror}."
        ) from error
    if not line:
        raise OperatorError(f"{path} holds no passphrase: expected it in the first line.")
    return line


def _typed(prompt: str) -> bytes:
    if not sys.stdin.isatty():
        raise OperatorError(
            "A passphrase is needed and there is no terminal to ask for it: give "
            "--passphrase-file FILE."
        )
    try:
        return getpass.getpass(prompt).encode()
    except EOFError as error:
        raise OperatorError("No passphrase was typed.") from error


def _long_enough(passphrase: bytes) -> bytes:
    if len(passphrase) < SHORTEST:
        raise OperatorError(
            f"The passphrase has {len(passphrase)} bytes: expected at least {SHORTEST}."
        )
    return passphrase
