"""The manifest: what a bundle says that it is (RAUC docs/reference.rst, "Manifest").

Its text lies inside the signature, with the root of the hash tree in it, and so binds every byte of
the bundle.
The manifest hash, by which a server and a device name one certain bundle, is SHA-256 of that text.
A second copy without the hash tree's figures lies in the squashfs, where RAUC's own tools put it.

GLib's key files (which RAUC reads) and `configparser` agree on what is written here: no value has
a line break or a space at its ends, and a backslash is doubled.
"""

from __future__ import annotations

import configparser
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from flipside_release.errors import BundleError, OperatorError

_SLOT_CLASS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_ESCAPES: Final = {"s": " ", "n": "\n", "t": "\t", "r": "\r"}
"""GLib's; never written here, but RAUC's own bundles may hold them."""
LONGEST_VALUE: Final = 1024
"""In characters; the whole signature must stay below 64 KiB."""


@dataclass(frozen=True, slots=True)
class Image:
    """One image in a bundle and the class of slots that it is for."""

    slot_class: str
    """For example `rootfs`, for the slots rootfs.0 and rootfs.1."""
    filename: str
    """Its name in the squashfs; RAUC reads the image's type from the ending."""
    sha256: str
    """Lower-case hex."""
    size: int
    """In bytes."""


@dataclass(frozen=True, slots=True)
class Verity:
    """The figures of the hash tree."""

    root: str
    """Lower-case hex of the root hash."""
    salt: str
    """Lower-case hex."""
    size: int
    """Of the tree, in bytes, a multiple of 4096."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a verity bundle is, for which devices, and what it holds."""

    compatible: str
    """Must equal the device's `compatible`, or RAUC refuses the bundle."""
    version: str
    description: str | None
    images: tuple[Image, ...]
    verity: Verity | None = None
    """None only in the copy inside the squashfs, which is written before the tree is known."""


def dumps(manifest: Manifest) -> bytes:
    """The manifest as text."""
    return "\n".join(_lines(manifest)).encode()


def manifest_hash(text: bytes) -> str:
    """The hash by which RAUC (`require-manifest-hash`) and Flipside name this bundle."""
    return hashlib.sha256(text).hexdigest()


def salt(inner: bytes) -> bytes:
    """The salt of the hash tree: SHA-256 of the manifest's inner copy.

    RAUC draws it at random; the same image under the same name and version shall give the same
    manifest hash, so here it follows from what is packed.
    Nothing is lost: SHA-256 needs no salt to resist collisions, and the salt is public anyway.
    """
    return hashlib.sha256(inner).digest()


def loads(text: bytes) -> Manifest:
    """Read the manifest of any verity bundle; what is not needed here (hooks, meta) is skipped."""
    sections = _sections(text)
    update, bundle = sections.get("update", {}), sections.get("bundle", {})
    if bundle.get("format") != "verity":
        raise BundleError(
            f"Expected a bundle of format 'verity', this one is '{bundle.get('format', 'plain')}'."
        )
    return Manifest(
        compatible=_required(update, "update", "compatible"),
        version=update.get("version", ""),
        description=update.get("description"),
        images=tuple(_images(sections)),
        verity=_verity(bundle) if "verity-hash" in bundle else None,
    )


def check_slot_class(slot_class: str) -> str:
    """The slot class if RAUC can use it; a dot or slash would mean something else to it."""
    if not _SLOT_CLASS.fullmatch(slot_class):
        raise OperatorError(
            f"'{slot_class}' cannot be a slot class: expected letters, digits, '-' and '_', as in "
            "[slot.rootfs.0] of the device's system.conf."
        )
    return slot_class


def check_value(name: str, value: str) -> str:
    """The value if it can stand in a manifest: one line of printable text."""
    if not value or value != value.strip() or not value.isprintable():
        raise OperatorError(
            f"{name} cannot be {value!r}: expected one line of printable text, without spaces at "
            "its ends."
        )
    if len(value) > LONGEST_VALUE:
        raise OperatorError(
            f"{name} has {len(value)} characters: expected at most {LONGEST_VALUE}."
        )
    return value


def _lines(manifest: Manifest) -> Iterator[str]:
    yield "[update]"
    yield f"compatible={_escaped(manifest.compatible)}"
    yield f"version={_escaped(manifest.version)}"
    if manifest.description is not None:
        yield f"description={_escaped(manifest.description)}"
    yield from ("", "[bundle]", "format=verity")
    if manifest.verity is not None:
        yield f"verity-hash={manifest.verity.root}"
        yield f"verity-salt={manifest.verity.salt}"
        yield f"verity-size={manifest.verity.size}"
    for image in manifest.images:
        yield from ("", f"[image.{image.slot_class}]")
        yield f"sha256={image.sha256}"
        yield f"size={image.size}"
        yield f"filename={image.filename}"
    yield ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\")


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), value)


def _sections(text: bytes) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(
        delimiters=("=",), comment_prefixes=("#",), interpolation=None, default_section="\0"
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # the documented way to keep case
    try:
        parser.read_string(text.decode())
    except (UnicodeDecodeError, configparser.Error) as error:
        reason = str(error).splitlines()[0]
        raise BundleError(f"The manifest cannot be read: {reason}.") from error
    return {name: {k: _unescaped(v) for k, v in parser[name].items()} for name in parser.sections()}


def _required(section: Mapping[str, str], name: str, key: str) -> str:
    if key not in section:
        raise BundleError(f"The manifest lacks '{key}' in [{name}].")
    return section[key]


def _number(section: Mapping[str, str], name: str, key: str) -> int:
    text = _required(section, name, key)
    if not (text.isascii() and text.isdigit()):
        raise BundleError(
            f"The manifest says {key}={text!r} in [{name}], expected a decimal number."
        )
    return int(text)


def _digest(section: Mapping[str, str], name: str, key: str) -> str:
    text = _required(section, name, key)
    if not _SHA256.fullmatch(text):
        raise BundleError(f"The manifest says {key}={text!r} in [{name}], expected 64 hex digits.")
    return text


def _verity(bundle: Mapping[str, str]) -> Verity:
    return Verity(
        root=_digest(bundle, "bundle", "verity-hash"),
        salt=_digest(bundle, "bundle", "verity-salt"),
        size=_number(bundle, "bundle", "verity-size"),
    )


def _images(sections: Mapping[str, Mapping[str, str]]) -> Iterator[Image]:
    for name, section in sections.items():
        if not name.startswith("image.") or "filename" not in section:
            continue
        filename = section["filename"]
        if "/" in filename or not filename.isprintable():
            raise BundleError(
                f"The manifest names {filename!r} in [{name}], expected a plain file name."
            )
        yield Image(
            slot_class=name.removeprefix("image."),
            filename=filename,
            sha256=_digest(section, name, "sha256"),
            size=_number(section, name, "size"),
        )
