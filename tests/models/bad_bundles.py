"""Bundles that a device must refuse, each for one reason alone: all else about them is right."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import (
    PKCS7Options,
    PKCS7SignatureBuilder,
)

from flipside_release import bundle, certificates, layout
from flipside_release.bundle import INNER_MANIFEST, Recipe
from flipside_release.certificates import Identity, Validity
from flipside_release.inspection import inspect
from flipside_release.squashfs import squashfs

LEVEL = 3
_PLAIN_MANIFEST = """\
[update]
compatible={compatible}
version=2
[image.rootfs]
sha256={digest}
size={size}
filename=rootfs.ext4
"""


@dataclass(frozen=True, slots=True)
class BadBundle:
    """A file to be shipped, and what the server says of it."""

    path: Path
    manifest_hash: str
    """The hash that the device is told to expect."""


class BadBundles:
    """Makes them in a folder, out of a little image; `whole` is a good bundle of a real one."""

    def __init__(
        self, folder: Path, owner: Identity, compatible: str, slot_size: int, whole: Path
    ) -> None:
        self._folder = folder
        self._owner = owner
        """The authority that the device trusts."""
        self._compatible = compatible
        self._slot_size = slot_size
        self._whole = whole

    def wrong_signature(self) -> BadBundle:
        """Everything is in place, only the signature's own figure is another one."""
        good = self._copy_of_good("wrong-signature")
        end_of_signature = good.path.stat().st_size - layout.TRAILER_SIZE
        _flip(good.path, end_of_signature - 1)
        return good

    def expired_signer(self) -> BadBundle:
        """Signed today with a certificate that ended years ago."""
        past = Validity(datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC))
        return self._signed("expired-signer", _signer(self._owner, past))

    def foreign_authority(self) -> BadBundle:
        """Signed under an authority of the same name, but of somebody else."""
        subject = self._owner.certificate.subject
        stranger = certificates.authority(_key(), subject, _now())
        return self._signed("foreign-authority", _signer(stranger, _now()))

    def wrong_purpose(self) -> BadBundle:
        """Signed by the authority's own key, which may vouch for signers and sign nothing else."""
        return self._signed("wrong-purpose", self._owner)

    def no_signing_time(self) -> BadBundle:
        """Its signature does not say when it was made."""
        good = self._copy_of_good("no-signing-time")
        parts = inspect(good.path, payload=False)
        signature = _sign(parts.text.encode(), self._signer, PKCS7Options.NoAttributes)
        with good.path.open("r+b") as file:
            file.truncate(parts.layout.cms_offset)
            file.seek(parts.layout.cms_offset)
            file.write(signature + layout.trailer(len(signature)))
        return good

    def wrong_compatible(self) -> BadBundle:
        """Made for another kind of device."""
        return self._signed("wrong-compatible", self._signer, compatible="coffee-machine")

    def truncated(self) -> BadBundle:
        """Half of a good bundle, as an upload leaves it that broke off."""
        path = self._copy_of_whole("truncated")
        seen = inspect(path, payload=False)
        with path.open("r+b") as file:
            file.truncate(seen.layout.total // 2)
        return BadBundle(path, seen.hash)

    def flipped_manifest(self) -> BadBundle:
        """One bit of what was signed is another one."""
        good = self._copy_of_good("flipped-manifest")
        _flip(good.path, good.path.read_bytes().rindex(b"version=") + len(b"version="))
        return good

    def flipped_payload(self) -> BadBundle:
        """One bit in the middle of a real image is another one."""
        path = self._copy_of_whole("flipped-payload")
        seen = inspect(path, payload=False)
        _flip(path, seen.layout.squashfs // 2)
        return BadBundle(path, seen.hash)

    def plain(self) -> BadBundle:
        """RAUC's first format, whose contents are read before they are verified."""
        path = self._folder / "plain.raucb"
        content = self._image().read_bytes()
        text = _PLAIN_MANIFEST.format(
            compatible=self._compatible, digest=_sha256(content), size=len(content)
        ).encode()
        with squashfs(path, LEVEL) as archive:
            archive.add("rootfs.ext4", len(content), [content])
            archive.add(INNER_MANIFEST, len(text), [text])
        signature = _sign(path.read_bytes(), self._signer, PKCS7Options.DetachedSignature)
        with path.open("ab") as file:
            file.write(signature + layout.trailer(len(signature)))
        return BadBundle(path, _sha256(text))

    def larger_than_the_slot(self) -> BadBundle:
        """Its image has a page more than there is room for."""
        return self._signed("too-large", self._signer, self._image(self._slot_size + 4096))

    def other_hash(self) -> BadBundle:
        """A bundle without any flaw, but not the one that the server speaks of."""
        return BadBundle(self._signed("other", self._signer).path, "5" * 64)

    def no_bundle(self) -> BadBundle:
        """A file of zeros, which somebody took for a bundle."""
        path = self._folder / "zeros.raucb"
        path.write_bytes(bytes(1 << 20))
        return BadBundle(path, "0" * 64)

    @cached_property
    def _signer(self) -> Identity:
        return _signer(self._owner, _now())

    def _copy_of_good(self, name: str) -> BadBundle:
        return self._signed(name, self._signer)

    def _copy_of_whole(self, name: str) -> Path:
        return shutil.copyfile(self._whole, self._folder / f"{name}.raucb")

    def _signed(
        self, name: str, signer: Identity, image: Path | None = None, compatible: str = ""
    ) -> BadBundle:
        output = self._folder / f"{name}.raucb"
        recipe = Recipe(
            image=image or self._image(),
            output=output,
            compatible=compatible or self._compatible,
            version="bad",
            description=None,
            slot_class="rootfs",
            level=LEVEL,
            overwrite=True,
        )
        bundle.build(recipe, signer, lambda read, size: None)
        return BadBundle(output, inspect(output, payload=False).hash)

    def _image(self, size: int = 64 << 10) -> Path:
        """An image of zeros, which costs neither time nor room, of any size."""
        path = self._folder / f"{size}.ext4"
        with path.open("wb") as file:
            file.truncate(size)
        return path


def _sign(content: bytes, signer: Identity, kind: PKCS7Options) -> bytes:
    return (
        PKCS7SignatureBuilder()
        .set_data(content)
        .add_signer(signer.certificate, signer.key, hashes.SHA256())
        .sign(Encoding.DER, [PKCS7Options.Binary, kind])
    )


def _signer(authority: Identity, validity: Validity) -> Identity:
    name = certificates.subject("Update signer", None)
    return certificates.signer(_key(), name, validity, authority)


def _key() -> rsa.RSAPrivateKey:
    """A short one: nobody shall wait for it, and nothing shall be safe with it."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _now() -> Validity:
    return certificates.from_now(datetime.now(UTC), timedelta(days=100))


def _flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def _sha256(content: bytes) -> str:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(content)
    return digest.finalize().hex()
