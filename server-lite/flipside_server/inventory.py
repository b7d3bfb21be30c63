"""What the records of a data directory say should lie in it, and whether it does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flipside_server.catalog import span
from flipside_server.directory import DataDirectory
from flipside_server.errors import StorageError
from flipside_server.log_line import Document
from flipside_server.survey import Survey, entries

_BLOCK = 1 << 20
_NAMES = {"targets": "target", "actions": "action", "distribution_sets": "distribution set"}


@dataclass(frozen=True, slots=True)
class Kept:
    """An artifact that the records name."""

    sha256: str
    size: int
    label: str
    """How people know it."""

    def path(self, artifacts: Path) -> Path:
        """Where it lies in a folder of artifacts."""
        return artifacts / self.sha256[:2] / self.sha256

    def fault(self, artifacts: Path, *, deep: bool) -> str:
        """What is wrong with it there, in words; empty if nothing is."""
        path = self.path(artifacts)
        try:
            size = path.stat().st_size
            if size != self.size:
                return f"has {size} of {self.size} bytes"
            if deep and _sha256(path) != self.sha256:
                return "has other content than was kept"
        except FileNotFoundError:
            return "is missing"
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        return ""


def documents(log: Path, survey: Survey, table: str) -> Iterator[Document]:
    """The rows of a table that count, oldest line first."""
    for offset, _, entry in entries(log):
        for name, key, document in entry.changes if entry else ():
            at = survey.catalog.at(name, key)
            if name == table and document is not None and at and span(at)[0] == offset:
                yield document


def artifacts(log: Path, survey: Survey) -> list[Kept]:
    """The artifacts that the records name, each content once."""
    found = {
        artifact["sha256"]: Kept(
            artifact["sha256"],
            artifact["size"],
            f"{artifact['filename']} of {module['name']}:{module['version']}",
        )
        for module in documents(log, survey, "software_modules")
        for artifact in module["artifacts"]
    }
    return list(found.values())


def strays(log: Path, survey: Survey) -> Iterator[str]:
    """Records that name others which are not there, in words."""
    for action in documents(log, survey, "actions"):
        for table, field in [("targets", "target"), ("distribution_sets", "distribution_set")]:
            if not survey.catalog.at(table, action[field]):
                yield (
                    f"action {action['id']} names {_NAMES[table]} {action[field]}, which is not "
                    "there"
                )


def counted(survey: Survey) -> str:
    """How many rows each table has, in words."""
    tables = sorted(survey.catalog.tables())
    found = [f"{len(survey.catalog.keys(table))} {table.replace('_', ' ')}" for table in tables]
    return ", ".join(found) or "nothing yet"


def others(directory: DataDirectory) -> list[Path]:
    """The files beside records and artifacts that belong to the data: settings, keys, audit log."""
    own = {directory.lock.name, directory.socket.name, directory.records.name}
    try:
        return [
            one
            for one in sorted(directory.path.iterdir())
            if one.is_file()
            and one.name not in own
            and one.suffix not in (".new", ".index")
            and not one.name.startswith(f"{directory.records.name}.")
        ]
    except OSError as error:
        raise StorageError(f"cannot read {directory.path}: {error.strerror}") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
