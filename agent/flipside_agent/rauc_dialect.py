"""RAUC's words as values: slot status, bundle information, progress, and what its error texts mean.

RAUC's D-Bus errors all carry the same mangled GLib name, so only the text tells them apart.
The texts are those of RAUC 1.13 to 1.15 (src/bundle.c, install.c, nbd.c, signature.c, mount.c,
update_handler.c); every row of :data:`MEANINGS` is tested with one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flipside_agent.errors import AgentError, DeviceError, NetworkError, UpdateError
from flipside_agent.update import SlotStatus

MAX_TEXT = 400
"""Characters of RAUC's text that travel on; a manifest's author decides some of them."""


class BundleRefused(UpdateError):
    """RAUC read the bundle and does not want it."""


class BundleUnreachable(NetworkError):
    """RAUC's streaming helper was refused the bundle or not answered."""


class BundleUnreadable(DeviceError):
    """Bytes came but do not read as signed: damaged bundle or lost network, RAUC cannot tell."""


class ClockNotSet(NetworkError):
    """A certificate is not valid yet, so this device's clock is wrong; the network brings time."""


class RaucBusy(DeviceError):
    """RAUC is doing something else, perhaps for somebody else."""


class RaucFailed(DeviceError):
    """RAUC could not do its part on this device."""


class InstallLost(DeviceError):
    """RAUC or the message bus went away in the middle of an installation."""


MEANINGS: tuple[tuple[str, type[AgentError]], ...] = (
    ("already processing a different method", RaucBusy),
    # Of a RAUC that died in the middle something remains for 300 s, until the kernel gives up
    # reading from a helper that is no more (nbd.c, dm.c).
    ("failed to create dm device: device or resource busy", RaucBusy),
    # The device's own part, even where the rest of the sentence speaks of the bundle.
    ("error while writing status file", RaucFailed),
    ("no keyring file or directory provided", RaucFailed),
    ("failed to load ca file", RaucFailed),
    ("streaming subprocess", RaucFailed),
    ("remote bundle access not supported", RaucFailed),
    ("post-install handler error", RaucFailed),
    ("pre-install handler error", RaucFailed),
    # The network: RAUC reads from the agent's origin only, so it is what lies behind the origin.
    ("failed to stream bundle", BundleUnreachable),
    ("failed to download bundle", BundleUnreachable),
    ("failed to read data from remote server", BundleUnreachable),
    # The bytes.
    ("check read from dm-", BundleUnreadable),
    ("unexpected dm-verity", BundleUnreadable),
    ("unexpected empty dm-verity", BundleUnreadable),
    ("error reading from file", BundleUnreadable),
    ("error splicing file", BundleUnreadable),
    # The bundle.
    ("certificate is not yet valid", ClockNotSet),
    ("signature verification failed", BundleRefused),
    ("unsupported number of signers", BundleRefused),
    ("extended key usage", BundleRefused),
    ("key usage does not allow", BundleRefused),
    ("failed to verify x509 cert", BundleRefused),
    ("invalid bundle format", BundleRefused),
    ("bundle format '", BundleRefused),
    ("failed to load manifest", BundleRefused),
    ("failed to check manifest", BundleRefused),
    ("failed to decrypt bundle", BundleRefused),
    ("encrypted bundle detected", BundleRefused),
    ("compatible mismatch", BundleRefused),
    ("version mismatch", BundleRefused),
    ("refusing to install", BundleRefused),
    ("bundle rejected", BundleRefused),
    ("install-check hook failed", BundleRefused),
    ("not found in bundle", BundleRefused),
    ("matching variant", BundleRefused),
    ("unsupported image type", BundleRefused),
    ("is too small for image", BundleRefused),
    ("does not fit to slot size", BundleRefused),
)
"""Parts of RAUC's error texts, in lower case; the first that is found decides."""

REASONS: tuple[tuple[str, str], ...] = (
    ("certificate has expired", "its signer's certificate had ended"),
    ("unable to get local issuer", "nobody whom this device trusts has signed it"),
    ("self-signed certificate", "nobody whom this device trusts has signed it"),
    ("certificate purpose", "its signer's certificate is not made for signing bundles"),
    ("extended key usage", "its signer's certificate is not made for signing bundles"),
    ("key usage does not allow", "its signer's certificate is not made for signing bundles"),
    ("signature verification failed: error:", "it was changed after it was signed"),
    ("compatible mismatch", "it is made for other devices"),
    ("bundle format 'plain'", "this device takes no bundles of that format"),
)
"""What those of RAUC's texts mean that do not say it; OpenSSL's are for those who know it."""

SENTENCES: Mapping[type[AgentError], str] = {
    BundleRefused: "RAUC refused the bundle",
    BundleUnreachable: "RAUC could not fetch the bundle",
    BundleUnreadable: "RAUC could not read the bundle's payload",
    ClockNotSet: "this device's clock is not set",
    RaucBusy: "RAUC is busy",
    RaucFailed: "RAUC failed",
}


@dataclass(frozen=True, slots=True)
class RaucInfo:
    """What RAUC read in a bundle whose signature it verified."""

    manifest_hash: str
    """Lower-case hex SHA-256 of the manifest, which binds the payload."""
    version: str
    compatible: str
    description: str = ""
    build: str = ""
    format: str = ""
    """``plain``, ``verity`` or ``crypt``."""
    sizes: tuple[tuple[str, int], ...] = ()
    """For each image the class of slots that it is for, and its bytes."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot as RAUC's GetSlotStatus describes it."""

    name: str
    """RAUC's slot name, such as ``rootfs.1``."""
    bootname: str
    """Empty for a slot that is not booted from."""
    state: str
    """``booted``, ``active`` or ``inactive``."""
    status: str = ""
    """``ok``, ``failed`` or ``pending``; empty while nothing was ever installed."""
    boot_status: str = ""
    """``good`` or ``bad``, as the boot loader's backend says."""
    manifest_hash: str = ""
    version: str = ""
    transaction: str = ""
    """Id of the installation that wrote it last."""
    device: str = ""
    """Path of its block device, as system.conf names it."""
    room: int | None = None
    """Bytes of its block device, if they can be known."""

    @property
    def slot_class(self) -> str:
        """What bundles call slots of this kind, such as ``rootfs``."""
        return self.name.partition(".")[0]


def failure(text: str) -> AgentError:
    """The error that RAUC's text speaks of."""
    lowered = text.lower()
    kind = next((kind for part, kind in MEANINGS if part in lowered), RaucFailed)
    reason = next((words for part, words in REASONS if part in lowered), "")
    because = f" because {reason}" if reason and kind is BundleRefused else ""
    return kind(f"{SENTENCES[kind]}{because}: {readable(text)}")


def unsupported_key(text: str) -> str:
    """The argument that this RAUC does not know, or nothing if the text speaks of other things."""
    found = re.fullmatch(r"Unsupported key: ([a-z-]+)", text.strip())
    return found[1] if found else ""


def readable(text: Any) -> str:
    """Somebody else's text, on one line, printable and not too long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= MAX_TEXT else f"{line[: MAX_TEXT - 1]}…"


def progress_in(changed: tuple[Any, ...]) -> tuple[int, str] | None:
    """Per cent and message, if this PropertiesChanged signal carries RAUC's Progress."""
    match changed:
        case (_, {"Progress": [int(percent), str(message), _]}, *_):
            return min(max(percent, 0), 100), readable(message)
    return None


def slots_from(status: Iterable[tuple[str, Mapping[str, Any]]]) -> tuple[Slot, ...]:
    """The slots of a GetSlotStatus answer, by name: RAUC's own order is a hash table's."""
    return tuple(sorted((_slot(name, keys) for name, keys in status), key=lambda slot: slot.name))


def info_from(answer: Mapping[str, Any]) -> RaucInfo:
    """The information of an InspectBundle answer."""
    update = answer.get("update", {})
    return RaucInfo(
        manifest_hash=readable(answer.get("manifest-hash", "")).lower(),
        version=readable(update.get("version", "")),
        compatible=readable(update.get("compatible", "")),
        description=readable(update.get("description", "")),
        build=readable(update.get("build", "")),
        format=readable(answer.get("bundle", {}).get("format", "")),
        sizes=tuple(
            (readable(image.get("slot-class", "")), int(image.get("size", 0)))
            for image in answer.get("images", ())
        ),
    )


def booted(slots: Iterable[Slot]) -> Slot:
    """The slot that the device runs from."""
    for slot in slots:
        if slot.state == "booted":
            return slot
    raise RaucFailed("RAUC does not know which slot is booted; check rauc.slot= in /proc/cmdline")


def find(slots: Iterable[Slot], bootname: str) -> Slot:
    """The slot with this bootname."""
    for slot in slots:
        if slot.bootname == bootname:
            return slot
    raise RaucFailed(f"RAUC's system.conf has no slot with the bootname {bootname}")


def check_room(info: RaucInfo, slots: Iterable[Slot]) -> None:
    """Refuse an image that is larger than its slot, while that slot still is what it was.

    RAUC compares the two as well, but only when it has told the boot loader to forget the slot.
    """
    sizes = dict(info.sizes)
    for slot in slots:
        size = sizes.get(slot.slot_class, 0)
        if slot.state == "inactive" and slot.room is not None and size > slot.room:
            raise BundleRefused(
                f"the image for slot {slot.name} has {size} bytes, but there is room for only"
                f" {slot.room}"
            )


def slot_status(slot: Slot) -> SlotStatus:
    """What the update machine wants to know of the slot."""
    return SlotStatus(
        bootname=slot.bootname,
        written=slot.status == "ok",
        manifest_hash=slot.manifest_hash,
        good=slot.boot_status == "good",
    )


def landed(slots: Iterable[Slot], transaction: str, manifest_hash: str) -> bool:
    """Tell whether the installation with this id wrote a slot to its end.

    Without an id, which RAUC before 1.11 does not take, the manifest hash of a slot that is not
    running has to do.
    """
    return any(_is_from(slot, transaction, manifest_hash) for slot in slots if slot.status == "ok")


def _is_from(slot: Slot, transaction: str, manifest_hash: str) -> bool:
    if transaction:
        return slot.transaction == transaction
    return slot.state != "booted" and slot.manifest_hash == manifest_hash


def _slot(name: str, keys: Mapping[str, Any]) -> Slot:
    def text(key: str) -> str:
        return readable(keys.get(key, ""))

    return Slot(
        name=readable(name),
        bootname=text("bootname"),
        state=text("state"),
        status=text("status"),
        boot_status=text("boot-status"),
        manifest_hash=text("bundle.hash").lower(),
        version=text("bundle.version"),
        transaction=text("installed.transaction"),
        device=text("device"),
    )
