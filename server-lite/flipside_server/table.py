"""Answers as text for a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from flipside_server.orders import Subject

Row = tuple[str, ...]


def tables(answer: dict[str, Any]) -> str:
    """A table for each subject that was shown."""
    parts = [_titled(Subject(name), documents, len(answer)) for name, documents in answer.items()]
    return "\n\n".join(parts)


def _titled(subject: Subject, documents: list[dict[str, Any]], subjects: int) -> str:
    heads, row = _SHAPES[subject]
    if not documents:
        return f"no {subject}"
    text = aligned([heads, *(row(document) for document in documents)])
    return f"{subject}\n{text}" if subjects > 1 else text


def aligned(rows: Iterable[Row]) -> str:
    """The rows with every column as wide as its widest cell."""
    lines = [tuple(printable(cell) for cell in row) for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def printable(text: str) -> str:
    """The text without what could steer a terminal: devices write some of it."""
    return "".join(one if one.isprintable() else "?" for one in text)


def _target(document: dict[str, Any]) -> Row:
    actions = ",".join(str(action) for action in document["open_actions"])
    return (
        document["target"],
        document["state"],
        document["installed"] or "-",
        actions or "-",
        _moment(document["last_seen"]),
        document["remark"] or "",
    )


def _action(document: dict[str, Any]) -> Row:
    said = [message for status in document["statuses"] for message in status["messages"]]
    return (
        str(document["id"]),
        str(document["target"]),
        f"{document['name']}:{document['version']}",
        document["state"],
        _moment(document["created"]),
        said[-1] if said else "-",
    )


def _artifact(document: dict[str, Any]) -> Row:
    files = document["artifacts"]
    return (
        str(document["id"]),
        f"{document['name']}:{document['version']}",
        ",".join(file["filename"] for file in files),
        str(sum(file["size"] for file in files)),
        ",".join(file["sha256"][:16] for file in files),
    )


def _moment(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "-"
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(milliseconds / 1000))


_SHAPES: dict[Subject, tuple[Row, Callable[[dict[str, Any]], Row]]] = {
    Subject.TARGETS: (("TARGET", "STATE", "INSTALLED", "OPEN", "LAST SEEN", "REMARK"), _target),
    Subject.ACTIONS: (("ID", "TARGET", "SET", "STATE", "CREATED", "LAST SAID"), _action),
    Subject.ARTIFACTS: (("ID", "SET", "FILE", "BYTES", "SHA-256"), _artifact),
}
