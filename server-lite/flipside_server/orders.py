"""What an operator can ask of the server, as values: the command line makes them, Control obeys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, BinaryIO, Protocol

from flipside_server.codec import decode, encode
from flipside_server.errors import OperatorError
from flipside_server.terms import AT_ONCE, Terms


class Subject(StrEnum):
    """What can be shown."""

    TARGETS = "targets"
    ACTIONS = "actions"
    ARTIFACTS = "artifacts"


@dataclass(frozen=True, slots=True)
class AddTarget:
    """Let a device in."""

    controller_id: str
    token: str = ""
    """Empty to have one made."""


@dataclass(frozen=True, slots=True)
class AddArtifact:
    """Keep a file as a software module and distribution set of this name and version."""

    filename: str
    name: str
    version: str
    size: int
    """Bytes of the file: a shorter one broke off on its way."""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Assign:
    """Have a target install a distribution set."""

    controller_id: str
    distribution_set: str
    """NAME:VERSION, or its id."""
    terms: Terms = AT_ONCE
    confirm: bool = False
    """Somebody at the device has to confirm it first."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask the device to drop an action."""

    action: int
    force: bool = False
    """Do not wait for the device's answer any longer."""


@dataclass(frozen=True, slots=True)
class Show:
    """Tell what there is."""

    subjects: tuple[Subject, ...]


Answer = dict[str, Any]
"""What came of an order, as JSON."""
Order = AddTarget | AddArtifact | Assign | Cancel | Show
_ORDERS: dict[str, type[Order]] = {
    kind.__name__: kind for kind in (AddTarget, AddArtifact, Assign, Cancel, Show)
}


def to_document(order: Order) -> dict[str, Any]:
    """The order as JSON."""
    return {"order": type(order).__name__, "with": encode(order)}


def from_document(document: Any) -> Order:
    """The order in a JSON document."""
    try:
        return decode(_ORDERS[document["order"]], document["with"])
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise OperatorError(
            "the running server does not know this command: it and the command must be of "
            "the same version"
        ) from error


class CarriesOut(Protocol):
    """Whoever carries out orders: Control, or the server that holds the directory."""

    def carry_out(self, order: Order, upload: BinaryIO | None = None) -> Answer:
        """Do what is ordered; the upload is the file of an AddArtifact."""
