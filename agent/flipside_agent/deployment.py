"""A deployment as hawkBit describes it, and the offer that a RAUC device makes of it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from flipside_agent.address import Site, address_of
from flipside_agent.ddi import shown, table
from flipside_agent.errors import ServerError, UpdateError
from flipside_agent.update import Bundle, Offer

MANIFEST_HASH_KEY = "flipside.manifest-hash"
"""Software module metadata that names the RAUC manifest hash of the bundle."""

LARGEST_BUNDLE = 1 << 40
"""Bytes."""

_DIGEST = re.compile(r"[0-9a-fA-F]{64}")


def offer_of(document: Mapping[str, object], action: str, server: Site) -> Offer | None:
    """Return the offer in a deployment, or None while its maintenance window is closed.

    Raises UpdateError for a deployment that this device cannot take: the server is to be told.
    """
    if str(document.get("id")) != action:
        raise ServerError(
            f"the server answered with action {shown(document.get('id'))} to a request"
            f" for action {action}"
        )
    deployment = table(document, "deployment")
    if deployment.get("update") == "skip":
        if deployment.get("maintenanceWindow") == "unavailable":
            return None
        raise UpdateError(
            "the deployment is download-only, but this device installs what it downloads"
        )
    chunk = _only(deployment, "chunks")
    artifact = _only(chunk, "artifacts")
    return Offer(action, _bundle(chunk, artifact, server))


def _bundle(chunk: Mapping[str, object], artifact: Mapping[str, object], server: Site) -> Bundle:
    size = artifact.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= LARGEST_BUNDLE:
        raise UpdateError(f"the deployment's artifact has the size {shown(size)}, expected bytes")
    return Bundle(
        url=_download(artifact, server),
        size=size,
        version=shown(chunk.get("version", "")),
        sha256=_digest(table(artifact, "hashes").get("sha256"), "sha256"),
        manifest_hash=_digest(_metadata(chunk), MANIFEST_HASH_KEY),
    )


def _download(artifact: Mapping[str, object], server: Site) -> str:
    links = table(artifact, "_links")
    for name in ("download", "download-http"):
        url = table(links, name).get("href")
        if url is None:
            continue
        address = address_of(url) if isinstance(url, str) else None
        if address is None:
            raise UpdateError(f"the deployment's {name} link is {shown(url)}, expected a plain URL")
        if server.scheme == "https" and address.site.scheme != "https":
            continue
        return str(url)
    wanted = "an https" if server.scheme == "https" else "a"
    raise UpdateError(f"the deployment has no download link with {wanted} address")


def _metadata(chunk: Mapping[str, object]) -> object:
    entries = chunk.get("metadata") or []
    if not isinstance(entries, list):
        raise UpdateError("the deployment's metadata is no list")
    found = {
        str(entry.get("value"))
        for entry in entries
        if isinstance(entry, dict) and entry.get("key") == MANIFEST_HASH_KEY
    }
    if len(found) > 1:
        raise UpdateError(f"the deployment's metadata names two values of {MANIFEST_HASH_KEY}")
    return found.pop() if found else None


def _digest(value: object, what: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise UpdateError(f"the deployment's {what} is {shown(value)}, expected 64 hex digits")
    return value.lower()


def _only(table: Mapping[str, object], name: str) -> Mapping[str, object]:
    entries = table.get(name)
    count = len(entries) if isinstance(entries, list) else 0
    if not isinstance(entries, list) or count != 1 or not isinstance(entries[0], dict):
        raise UpdateError(f"the deployment has {count} {name}, expected exactly one: a RAUC bundle")
    return entries[0]
