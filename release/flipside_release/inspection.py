"""Reads a bundle back: what it says of itself, and whether its parts fit together.

Whose signature it is, and whether a device would trust it, is not judged: ask `rauc info`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from flipside_release import cms, layout, manifest, verity
from flipside_release.errors import BundleError, WorkstationError
from flipside_release.layout import TRAILER_SIZE, Layout
from flipside_release.manifest import Manifest, Verity


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a bundle holds."""

    layout: Layout
    manifest: Manifest
    text: str
    """The manifest as it was signed."""
    hash: str
    """The manifest hash, lower-case hex."""
    signer: str
    """The signer's distinguished name (RFC 4514); the certificate is not judged."""
    signer_until: datetime
    """When the signer's certificate ends, in UTC."""

    def record(self) -> dict[str, Any]:
        """What `--json` prints; keys are added, never renamed."""
        return {
            "size": self.layout.total,
            "manifest_hash": self.hash,
            "compatible": self.manifest.compatible,
            "version": self.manifest.version,
            "description": self.manifest.description,
            "images": [asdict(image) for image in self.manifest.images],
            "parts": asdict(self.layout),
            "signer": self.signer,
            "signer_not_after": self.signer_until.isoformat(),
        }


def inspect(path: Path, *, payload: bool) -> Inspection:
    """Read a bundle; with `payload`, also hash all of it and compare with the signed root."""
    try:
        with path.open("rb") as file:
            inspection = _describe(file)
            if payload:
                _check_payload(file, inspection)
    except OSError as error:
        raise WorkstationError(f"Cannot read {path}: {error.strerror}.") from error
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error
    return inspection


def _describe(file: IO[bytes]) -> Inspection:
    total = file.seek(0, os.SEEK_END)
    file.seek(max(0, total - TRAILER_SIZE))
    size = layout.cms_size(total, file.read(TRAILER_SIZE))
    file.seek(total - TRAILER_SIZE - size)
    signature = file.read(size)
    text = cms.content(signature)
    described = manifest.loads(text)
    signers = cms.certificates(signature)
    if not signers:
        raise BundleError("The signature comes without its signer's certificate.")
    return Inspection(
        layout=layout.layout(total, size, _verity(described).size),
        manifest=described,
        text=text.decode(),
        hash=manifest.manifest_hash(text),
        signer=signers[0].subject.rfc4514_string(),
        signer_until=signers[0].not_valid_after_utc,
    )


def _check_payload(file: IO[bytes], inspection: Inspection) -> None:
    """Rebuild the hash tree; a flipped bit in the squashfs or in the tree shows here."""
    expected = _verity(inspection.manifest)
    file.seek(0)
    tree = verity.hash_tree(_blocks(file, inspection.layout.squashfs), bytes.fromhex(expected.salt))
    if tree.root.hex() != expected.root:
        raise BundleError("The bundle is damaged: its contents are not what was signed.")
    if file.read(inspection.layout.tree) != tree.blocks:
        raise BundleError("The bundle is damaged: its hash tree does not fit its contents.")


def _blocks(file: IO[bytes], size: int) -> Iterator[bytes]:
    return (file.read(verity.BLOCK_SIZE) for _ in range(size // verity.BLOCK_SIZE))


def _verity(described: Manifest) -> Verity:
    if described.verity is None:
        raise BundleError("The signed manifest lacks 'verity-hash' in [bundle].")
    return described.verity
