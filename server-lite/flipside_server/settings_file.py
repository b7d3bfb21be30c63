"""The file with the server's settings, and the files with secrets that it names."""

from __future__ import annotations

import stat
from pathlib import Path

from flipside_server.errors import OperatorError
from flipside_server.settings import USUAL, Settings, holds_secret, parsed


def settings_in(data: Path, named: Path | None) -> Settings:
    """The settings in the named file, else in the data directory's own, else the usual ones."""
    file = named or data / "server.toml"
    if named is None and not file.exists():
        return USUAL
    text = _text(file)
    settings = parsed(text, str(file), lambda name: _secret(file.parent / name))
    if holds_secret(text):
        _refuse_exposed(file)
    return settings


def first_line(file: Path) -> str:
    """The secret in a file: its first line."""
    return _text(file).partition("\n")[0].strip()


def _secret(file: Path) -> str:
    secret = first_line(file)
    _refuse_exposed(file)
    return secret


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise OperatorError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise OperatorError(f"{file} is not UTF-8: {error.reason}") from error


def _refuse_exposed(file: Path) -> None:
    if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO) & ~stat.S_IRGRP:
        raise OperatorError(
            f"{file} holds a secret and is open to more than its owner and group: chmod 0600 {file}"
        )
