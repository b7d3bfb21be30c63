"""The signature of a bundle: CMS signed data (RFC 5652) around the manifest.

RAUC reads DER with the manifest inside ("not detached") and the signer's certificate beside it, and
checks the certificate against the device's keyring.
Only the signing time in it changes from one signing to the next: RSA with PKCS#1 v1.5 padding has
no random part, and `cryptography` offers no way to fix the time.
"""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import (
    PKCS7Options,
    PKCS7SignatureBuilder,
    load_der_pkcs7_certificates,
)

from flipside_release import der
from flipside_release.certificates import Identity
from flipside_release.errors import BundleError

_SIGNED_DATA: Final = bytes.fromhex("2a864886f70d010702")  # 1.2.840.113549.1.7.2
_DATA: Final = bytes.fromhex("2a864886f70d010701")  # 1.2.840.113549.1.7.1


def sign(content: bytes, signer: Identity) -> bytes:
    """Sign the content and wrap it up, with the signer's certificate."""
    return (
        PKCS7SignatureBuilder()
        .set_data(content)
        .add_signer(signer.certificate, signer.key, hashes.SHA256())
        .sign(Encoding.DER, [PKCS7Options.Binary, PKCS7Options.NoCapabilities])
    )


def content(cms: bytes) -> bytes:
    """What was signed, without a look at the signature (RFC 5652, 5.1 and 5.2)."""
    content_type, rest = der.read(der.read(cms, der.SEQUENCE).content, der.OBJECT_IDENTIFIER)
    if content_type != _SIGNED_DATA:
        raise BundleError("The signature is not CMS signed data; encrypted bundles are not read.")
    signed_data = der.read(der.read(rest, der.EXPLICIT_0).content, der.SEQUENCE).content
    after_version = der.read(signed_data, der.INTEGER).rest
    after_digests = der.read(after_version, der.SET).rest
    encapsulated = der.read(after_digests, der.SEQUENCE).content
    inner_type, rest = der.read(encapsulated, der.OBJECT_IDENTIFIER)
    if inner_type != _DATA or not rest:
        raise BundleError("The signature holds no manifest, as in a bundle of format 'plain'.")
    return der.read(der.read(rest, der.EXPLICIT_0).content, der.OCTET_STRING).content


def certificates(cms: bytes) -> list[x509.Certificate]:
    """The certificates beside the signature, the signer's first where RAUC or we made it."""
    try:
        return load_der_pkcs7_certificates(cms)
    except ValueError as error:
        raise BundleError("The signature's certificates cannot be read.") from error
