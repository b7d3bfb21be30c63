"""What can be installed: artifacts in software modules, modules in distribution sets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from flipside_server.errors import OperatorError

FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~-]{0,127}")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 ._+~-]{0,63}")
METADATA_KEY = re.compile(r"[A-Za-z0-9._-]{1,128}")
LONGEST_METADATA = 4000
MANIFEST_HASH = "flipside.manifest-hash"
"""Metadata key under which a device finds the RAUC manifest hash that is wanted."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file, kept by its content."""

    filename: str
    size: int
    """Bytes."""
    sha256: str
    sha1: str
    md5: str
    created: int = 0
    """Milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class SoftwareModule:
    """Files that belong together, with what a device is told about them."""

    id: int
    name: str
    version: str
    type: str = "os"
    """hawkBit's module type, ``part`` in DDI; firmware is ``os``."""
    artifacts: tuple[Artifact, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Shown to the device."""


@dataclass(frozen=True, slots=True)
class DistributionSet:
    """What is assigned to a target: one or more software modules under a name and version."""

    id: int
    name: str
    version: str
    modules: tuple[int, ...] = ()

    @property
    def label(self) -> str:
        """How people name it."""
        return f"{self.name}:{self.version}"


def checked_filename(text: str) -> str:
    """The file name, if it can stand in a URL and in a header."""
    if FILE_NAME.fullmatch(text) is None:
        raise OperatorError(
            f"the file name {text!r} cannot be used: give 1 to 128 letters, digits or any of "
            "_.+~- that do not begin with a dot (--filename renames it)"
        )
    return text


def checked_name(what: str, text: str) -> str:
    """A name or a version, if it can be typed back as NAME:VERSION."""
    if NAME.fullmatch(text) is None:
        raise OperatorError(
            f"the {what} {text!r} cannot be used: give 1 to 64 letters, digits, spaces or any "
            "of _.+~-"
        )
    return text


def checked_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """The metadata, if a device can be told all of it."""
    for key, value in metadata.items():
        if METADATA_KEY.fullmatch(key) is None or len(value) > LONGEST_METADATA:
            raise OperatorError(
                f"the metadata {key!r} cannot be used: a key has 1 to 128 letters, digits or "
                f"any of ._-, a value at most {LONGEST_METADATA} characters"
            )
    wanted = metadata.get(MANIFEST_HASH)
    if wanted is not None and re.fullmatch(r"[0-9a-f]{64}", wanted) is None:
        raise OperatorError(f"the metadata {MANIFEST_HASH} must be 64 lower-case hex digits")
    return dict(metadata)
