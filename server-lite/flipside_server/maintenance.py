"""The commands that look after a data directory: check, backup, restore."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from flipside_server.directory import DataDirectory
from flipside_server.errors import OperatorError, StorageError


def add_commands(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add their parsers."""
    check = commands.add_parser(
        "check", parents=[shared], help="tell whether the data is whole, and what can be saved"
    )
    check.add_argument("--deep", action="store_true", help="read every artifact to its end")
    check.add_argument(
        "--save", type=Path, metavar="DIR", help="write all that is whole to a new data directory"
    )
    check.set_defaults(run=_check)
    backup = commands.add_parser(
        "backup", parents=[shared], help="copy the data, also of a running server"
    )
    backup.add_argument("to", type=Path, metavar="DIR", help="repeat it to copy what is new")
    backup.set_defaults(run=_backup)
    restore = commands.add_parser(
        "restore", parents=[shared], help="make a data directory out of a backup"
    )
    restore.add_argument("backup", type=Path, metavar="BACKUP")
    restore.set_defaults(run=_restore)


def _backup(options: argparse.Namespace) -> None:
    from flipside_server.backup import backup

    moved = backup(_existing(options.data), options.to)
    print(f"{options.to}: {moved.records}; {_artifacts(moved.artifacts, moved.known)}")
    _refuse_losses(moved.lost)


def _restore(options: argparse.Namespace) -> None:
    from flipside_server.backup import restore

    moved = restore(_existing(options.backup), _new(options.data))
    print(f"{options.data}: {moved.records}; {_artifacts(moved.artifacts, moved.known)}")
    _refuse_losses(moved.lost)


def _check(options: argparse.Namespace) -> None:
    from flipside_server.backup import rebuild
    from flipside_server.findings import findings

    directory = _existing(options.data)
    found = findings(directory, deep=options.deep)
    for line in found.lines:
        print(line)
    if options.save is not None:
        moved = rebuild(directory, _new(options.save))
        print(f"saved to {options.save}: {moved.records}; {_artifacts(moved.artifacts, 0)}")
    if found.faults:
        hint = "" if options.save else ": --save DIR writes what is whole to a new directory"
        raise StorageError(f"{options.data} is not whole{hint}")


def _artifacts(copied: int, known: int) -> str:
    return f"{copied} artifacts copied" + (f", {known} known already" if known else "")


def _refuse_losses(lost: tuple[str, ...]) -> None:
    if lost:
        raise StorageError(f"all but this was copied: {'; '.join(lost)}")


def _existing(path: Path) -> DataDirectory:
    directory = DataDirectory(path)
    if not directory.records.exists():
        raise OperatorError(f"there are no records in {path}: give a data directory or a backup")
    return directory


def _new(path: Path) -> DataDirectory:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make {path}: {error.strerror}") from error
    return DataDirectory(path)
