"""A RAUC that reads bundles over HTTP as the real one's streaming helper does, and verifies them.

As read in RAUC's src/nbd.c and src/bundle.c: first the range 0-3, from whose answer it takes the
size; then the length of the signature and the signature; then the payload in ranges of 128 KiB.
Anything but a 206 is tried again five times, one second apart (here at once), except a 404.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from flipside_agent.ranges import content_range
from flipside_agent.rauc_dialect import (
    BundleRefused,
    BundleUnreachable,
    BundleUnreadable,
    RaucInfo,
    Slot,
    failure,
)
from models.bundle import signature_of

RETRIES = 5
BLOCK = 128 << 10


class _Unanswered(Exception):
    """A range that could not be had."""


@dataclass
class RaucReader:
    """Two slots, A running, and nothing believed that is not signed."""

    proxy: bool = False
    """Something between it and 127.0.0.1."""
    refusal: str = ""
    """What it has against every bundle, in the words of RAUC, whatever is in it."""
    image_size: int = 0
    """What it reads in the manifest, in bytes."""
    slots_now: tuple[Slot, ...] = (
        Slot("rootfs.1", "B", "inactive", status="ok", boot_status="good", manifest_hash="00" * 32),
        Slot("rootfs.0", "A", "booted", boot_status="good"),
    )
    marked: list[tuple[str, str]] = field(default_factory=list)
    written: bytes = b""
    installs: int = 0
    asked: int = 0
    at_block: Callable[[int], None] = lambda number: None
    """Called before each block of an installation."""

    async def inspect(self, location: str, headers: Mapping[str, str]) -> RaucInfo:
        """Read what is signed, and by whom."""
        signature, _ = await asyncio.to_thread(self._signature, location, headers)
        if self.refusal:
            raise failure(self.refusal)
        sizes = (("rootfs", self.image_size),)
        digest = hashlib.sha256(signature).hexdigest()
        return RaucInfo(digest, "2", "flipside-qemu", sizes=sizes)

    async def install(
        self,
        location: str,
        headers: Mapping[str, str],
        manifest_hash: str,
        on_progress: Callable[[int, str], None],
    ) -> None:
        """Write the payload to the slot that is not running."""
        self.installs += 1
        signature, size = await asyncio.to_thread(self._signature, location, headers)
        on_progress(20, "Checking bundle")
        if hashlib.sha256(signature).hexdigest() != manifest_hash:
            raise BundleRefused("unexpected hash")
        self.written = await asyncio.to_thread(self._payload, location, headers, size)
        if signature_of(self.written) != signature:
            raise BundleUnreadable("Check read from dm-verity failed: Input/output error")
        on_progress(100, "Installing done.")

    async def slots(self) -> tuple[Slot, ...]:
        """The status of every slot."""
        return self.slots_now

    async def mark(self, state: str, identifier: str) -> None:
        """Remember what was marked."""
        self.marked.append((state, identifier))

    def reboot(self) -> None:
        """Come up from the other slot."""
        turned = {"booted": "inactive", "inactive": "booted"}
        self.slots_now = tuple(replace(slot, state=turned[slot.state]) for slot in self.slots_now)

    def _signature(self, location: str, headers: Mapping[str, str]) -> tuple[bytes, int]:
        if self.proxy:
            raise BundleUnreachable("Failed to stream bundle: server not responding")
        try:
            _, size = self._range(location, headers, 0, 4)
            length, _ = self._range(location, headers, size - 8, 8)
            start = size - 8 - int.from_bytes(length, "big")
            signature, _ = self._range(location, headers, start, size - 8 - start)
        except _Unanswered as error:
            raise BundleUnreachable(f"Failed to stream bundle: {error}") from error
        return signature, size - 8 - len(signature)

    def _payload(self, location: str, headers: Mapping[str, str], size: int) -> bytes:
        payload = b""
        while len(payload) < size:
            self.at_block(len(payload) // BLOCK)
            try:
                block, _ = self._range(
                    location, headers, len(payload), min(BLOCK, size - len(payload))
                )
            except _Unanswered as error:
                raise BundleUnreadable("Error reading from file: Input/output error") from error
            payload += block
        return payload

    def _range(
        self, location: str, headers: Mapping[str, str], start: int, length: int
    ) -> tuple[bytes, int]:
        for _ in range(1 + RETRIES):
            status, body, size = self._request(location, headers, start, length)
            if status == 206 and len(body) == length:
                return body, size
            if status == 404:
                break
        raise _Unanswered(f"unexpected HTTP response code {status}")

    def _request(
        self, location: str, headers: Mapping[str, str], start: int, length: int
    ) -> tuple[int, bytes, int]:
        self.asked += 1
        where = urlsplit(location)
        connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=10)
        try:
            wanted = {**headers, "Range": f"bytes={start}-{start + length - 1}"}
            connection.request("GET", where.path, headers=wanted)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b"", 0
        finally:
            connection.close()
        if answer.status != 206:
            return answer.status, b"", 0
        _, size = content_range(answer.headers["Content-Range"])
        return 206, body, size
