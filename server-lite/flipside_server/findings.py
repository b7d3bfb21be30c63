"""What ``check`` has to say about a data directory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flipside_server.directory import DataDirectory
from flipside_server.inventory import artifacts, counted, strays
from flipside_server.survey import Survey, surveyed
from flipside_server.tiny_store import INDEXED_TABLES


@dataclass(frozen=True, slots=True)
class Findings:
    """Sentences, and how many of them tell of a fault."""

    lines: tuple[str, ...]
    faults: int


def findings(directory: DataDirectory, *, deep: bool) -> Findings:
    """Look at everything, changing nothing; deep reads the artifacts too."""
    found = surveyed(directory.records, INDEXED_TABLES)
    faults = [*_damages(directory, found), *strays(directory.records, found)]
    for one in artifacts(directory.records, found):
        if fault := one.fault(directory.artifacts, deep=deep):
            faults.append(f"the artifact {one.label} {fault}")
    return Findings((*_summary(directory, found), *faults), len(faults))


def _summary(directory: DataDirectory, found: Survey) -> Iterator[str]:
    yield f"{directory.records}: {counted(found)}; {found.bytes} bytes"
    if found.torn:
        yield (
            f"{directory.records} ends in a write that is under way or was torn by a cut at byte "
            f"{found.damages[0].offset}; nobody was promised it, and the next start drops it"
        )


def _damages(directory: DataDirectory, found: Survey) -> Iterator[str]:
    if found.harmed:
        for damage in found.damages:
            yield (
                f"{directory.records} is damaged at byte {damage.offset}: a line of {damage.size} "
                "bytes cannot be read"
            )
