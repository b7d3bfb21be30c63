"""Backs a data directory up while a server works in it, restores it, and saves what can be saved.

A backup is a data directory: artifacts lie in it under their content, so that the next backup to
the same place copies only what is new; the records come last and replace the older ones at once.
The log only grows, and an artifact is kept before a record names it: so the log up to any whole
line, and after it the artifacts, are what the server was at one moment.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flipside_server.copies import copied
from flipside_server.directory import DataDirectory, held
from flipside_server.errors import OperatorError, StorageError
from flipside_server.index_file import index_path
from flipside_server.inventory import Kept, artifacts, counted, others
from flipside_server.log_storage import LogStorage
from flipside_server.schema import ids_change
from flipside_server.survey import entries, surveyed
from flipside_server.tiny_store import INDEXED_TABLES

LEAP = 10_000
"""How far ids go on beyond those of a backup: devices may remember what was given after it."""
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Moved:
    """What was copied."""

    records: str
    """How many of each kind, in words."""
    artifacts: int
    """Those that had to be copied."""
    known: int
    """Those that were there already."""
    lost: tuple[str, ...] = ()
    """Those that could not be copied, and why."""


def backup(source: DataDirectory, target: Path) -> Moved:
    """Copy a data directory, in use or not, to another place that is for backups."""
    _refuse_same(source, target)
    there = _place(target)
    with held(there):
        beside = there.records.with_name("incoming.log")
        size = _whole_size(source.records)
        copied(source.records, beside, size)
        found = surveyed(beside, INDEXED_TABLES)
        moved = _copy_artifacts(source, there, artifacts(beside, found), counted(found))
        for path in others(source):
            copied(path, there.path / path.name)
        index_path(there.records).unlink(missing_ok=True)
        copied(beside, there.records)
        beside.unlink()
    return moved


def restore(source: DataDirectory, target: DataDirectory) -> Moved:
    """Make a data directory out of a backup."""
    found = surveyed(source.records, INDEXED_TABLES)
    if found.harmed:
        raise StorageError(
            f"the backup {source.path} is damaged: see 'flipside-server check --data "
            f"{source.path}', which can save what is left"
        )
    return rebuild(source, target)


def rebuild(source: DataDirectory, target: DataDirectory) -> Moved:
    """Make a data directory out of all that is whole in another one."""
    _refuse_taken(target)
    with held(target):
        found = surveyed(source.records, INDEXED_TABLES)
        kept = artifacts(source.records, found)
        moved = _copy_artifacts(source, target, kept, counted(found))
        for path in others(source):
            copied(path, target.path / path.name)
        _copy_records(source, target)
        _give_to_owner(target)
    return moved


def _copy_records(source: DataDirectory, target: DataDirectory) -> None:
    workshop = target.path / "restoring.new"
    try:
        shutil.rmtree(workshop, ignore_errors=True)
        workshop.mkdir(mode=0o700)
        log = workshop / target.records.name
        storage = LogStorage.open(log)
        for _, _, entry in entries(source.records):
            if entry is not None:
                storage.append(entry.changes)
        storage.append([ids_change({one: at + LEAP for one, at in storage.last_ids().items()})])
        storage.settle(storage.mark())
        # Else no line would vouch for those before it, and damage would pass for a torn end.
        storage.compact()
        storage.close()
        copied(log, target.records)
    except OSError as error:
        raise StorageError(f"cannot write {workshop}: {error.strerror}") from error
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _copy_artifacts(
    source: DataDirectory, target: DataDirectory, kept: list[Kept], records: str
) -> Moved:
    known, done, lost = 0, 0, []
    target.artifacts.mkdir(mode=0o700, exist_ok=True)
    for one in kept:
        if not one.fault(target.artifacts, deep=False):
            known += 1
            continue
        fault = one.fault(source.artifacts, deep=False) or _copy_artifact(one, source, target)
        if fault:
            lost.append(f"the artifact {one.label} {fault}")
        else:
            done += 1
    return Moved(records, done, known, tuple(lost))


def _copy_artifact(one: Kept, source: DataDirectory, target: DataDirectory) -> str:
    place = one.path(target.artifacts)
    if copied(one.path(source.artifacts), place) != one.sha256:
        place.unlink()
        return "has other content than was kept"
    return ""


def _whole_size(log: Path) -> int:
    found = surveyed(log, INDEXED_TABLES)
    if found.harmed:
        raise StorageError(
            f"{log} is damaged at byte {found.damages[0].offset}: an older backup is better than "
            "one of this; see 'flipside-server check'"
        )
    return found.size


def _refuse_same(source: DataDirectory, target: Path) -> None:
    if (
        target.resolve() == source.path.resolve()
        or source.path.resolve() in target.resolve().parents
    ):
        raise OperatorError(
            f"{target} is the data directory or inside it: a backup belongs on another disk"
        )


def _refuse_taken(target: DataDirectory) -> None:
    if target.records.exists():
        raise OperatorError(
            f"there are records in {target.path} already: move them away, or give another directory"
        )


def _place(path: Path) -> DataDirectory:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make {path}: {error.strerror}") from error
    return DataDirectory(path)


def _give_to_owner(target: DataDirectory) -> None:
    # Files that root made could not be read by the server, which runs as the directory's owner.
    owner = target.path.stat()
    if os.geteuid() == 0:
        for path in target.path.rglob("*"):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
