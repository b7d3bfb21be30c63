"""A signed update for SWUpdate: one image that is written to one file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BOARD = "board"
REVISION = "1.0"
_DESCRIPTION = """software =
{{
  version = "{version}";
  hardware-compatibility: [ "{revision}" ];
  images: (
    {{ filename = "rootfs.img"; type = "raw"; device = "{device}"; sha256 = "{digest}"; }}
  );
}}
"""
_MAGIC = b"070702"
"""The format of cpio in which each file carries the sum of its bytes; SWUpdate checks it."""


@dataclass(frozen=True)
class Signer:
    """Whoever may sign updates: a key, and a certificate that it signed itself."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    def write_public(self, target: Path, *, cms: bool) -> None:
        """What the device needs to check signatures: the certificate for CMS, else the key."""
        pem = serialization.Encoding.PEM
        kind = serialization.PublicFormat.SubjectPublicKeyInfo
        bare = self.key.public_key().public_bytes(pem, kind)
        target.write_bytes(self.certificate.public_bytes(pem) if cms else bare)

    def sign(self, text: bytes, *, cms: bool) -> bytes:
        """A signature beside the text."""
        if not cms:
            return self.key.sign(text, padding.PKCS1v15(), hashes.SHA256())
        options = (
            pkcs7.PKCS7Options.DetachedSignature,
            pkcs7.PKCS7Options.Binary,
            pkcs7.PKCS7Options.NoCapabilities,
        )
        builder = pkcs7.PKCS7SignatureBuilder().set_data(text)
        builder = builder.add_signer(self.certificate, self.key, hashes.SHA256())
        return builder.sign(serialization.Encoding.DER, options)


def new_signer() -> Signer:
    """A signer with a fresh key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "whoever ships")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1))
    builder = builder.not_valid_after(now + timedelta(days=1))
    # SWUpdate asks for the purpose of signed mail, unless it is told another one.
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
    builder = builder.add_extension(purpose, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return Signer(key, builder.sign(key, hashes.SHA256()))


def update(version: str, image: bytes, device: Path, signer: Signer, *, cms: bool) -> bytes:
    """An update that writes the image to a file that stands for the other slot."""
    digest = hashlib.sha256(image).hexdigest()
    text = _DESCRIPTION.format(version=version, revision=REVISION, device=device, digest=digest)
    description = text.encode()
    return _archive(
        {
            "sw-description": description,
            "sw-description.sig": signer.sign(description, cms=cms),
            "rootfs.img": image,
        }
    )


def _archive(files: dict[str, bytes]) -> bytes:
    return b"".join(_entries(files))


def _entries(files: dict[str, bytes]) -> Iterator[bytes]:
    for number, (name, content) in enumerate(files.items(), 1):
        yield _header(number, 0o100644, name, content)
        yield _padded(content)
    yield _header(0, 0, "TRAILER!!!", b"")


def _header(number: int, mode: int, name: str, content: bytes) -> bytes:
    # cpio(5), "New CRC Format": inode, mode, uid, gid, links, mtime, size, two devices of two
    # numbers each, length of the name with its zero byte, sum.
    size, check = len(content), sum(content) & 0xFFFFFFFF
    fields = (number, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name) + 1, check)
    raw = _MAGIC + b"".join(b"%08X" % field for field in fields)
    return _padded(raw + name.encode() + b"\0")


def _padded(raw: bytes) -> bytes:
    return raw + b"\0" * (-len(raw) % 4)
