"""The two certificates behind a bundle: an authority that devices trust, and a signer below it.

RAUC's `check-purpose=codesign` (src/signature.c, "codesign" check purpose) wants of the signer the
extended key usage codeSigning and the key usage digitalSignature, and of the authority that it is
one; an extended key usage on the authority would have to include codeSigning, so it has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from flipside_release.errors import OperatorError

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
"""RSA-4096 is what `flipside keys` makes; an elliptic-curve key made elsewhere may sign too."""

AUTHORITY_LIFETIME: Final = timedelta(days=10958)
"""Thirty years: a device that is sold in a product's tenth year may well run for fifteen, and the
end of an authority protects nobody from whoever has its key."""
SIGNER_LIFETIME: Final = timedelta(days=731)
"""Two years: it sits on a workstation, and a new one costs devices nothing."""
CLOCK_TOLERANCE: Final = timedelta(days=1)
"""How far back validity begins: a device's clock is seldom right."""
SOON: Final = timedelta(days=30)

_NO_KEY_USAGE: Final = {
    "digital_signature": False,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}


@dataclass(frozen=True, slots=True)
class Identity:
    """A private key and the certificate that says whose it is."""

    key: PrivateKey
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True)
class Validity:
    """From when until when a certificate is good; both in UTC."""

    not_before: datetime
    not_after: datetime


def subject(common_name: str, organisation: str | None) -> x509.Name:
    """A distinguished name; RAUC's `allowed-signer-cns` compares the common name."""
    names = [(NameOID.COMMON_NAME, common_name)]
    if organisation is not None:
        names.insert(0, (NameOID.ORGANIZATION_NAME, organisation))
    for _, name in names:
        if not 1 <= len(name) <= 64 or not name.isprintable():  # RFC 5280, A.1: ub-common-name
            raise OperatorError(
                f"{name!r} cannot stand in a certificate: expected 1 to 64 printable characters."
            )
    return x509.Name([x509.NameAttribute(kind, name) for kind, name in names])


def organisation(certificate: x509.Certificate) -> str | None:
    """The organisation in a certificate's name, if there is one."""
    for attribute in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME):
        return str(attribute.value)
    return None


def authority(key: PrivateKey, name: x509.Name, validity: Validity) -> Identity:
    """The certificate by which an authority vouches for itself."""
    usage = x509.KeyUsage(**(_NO_KEY_USAGE | {"key_cert_sign": True, "crl_sign": True}))
    certificate = (
        _certificate(key, name, name, validity, key)
        # Signers only: an authority below this one would be trusted by no keyring of ours.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return Identity(key, certificate)


def signer(key: PrivateKey, name: x509.Name, validity: Validity, issuer: Identity) -> Identity:
    """A certificate by which an authority lets a key sign bundles, and nothing else."""
    certificate = (
        _certificate(key, name, issuer.certificate.subject, validity, issuer.key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(**(_NO_KEY_USAGE | {"digital_signature": True})), critical=True
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .sign(issuer.key, hashes.SHA256())
    )
    return Identity(key, certificate)


def from_now(now: datetime, lifetime: timedelta) -> Validity:
    """Good from just before now, for a lifetime."""
    return Validity(now - CLOCK_TOLERANCE, now + lifetime)


def check_lifetime(validity: Validity, issuer: x509.Certificate) -> None:
    """Refuse a signer's lifetime that ends before it begins, or after its authority's."""
    if validity.not_after <= validity.not_before:
        raise OperatorError(
            f"A certificate cannot end ({validity.not_after:%Y-%m-%d %H:%M}) before it begins "
            f"({validity.not_before:%Y-%m-%d %H:%M})."
        )
    if validity.not_after > issuer.not_valid_after_utc:
        raise OperatorError(
            f"A signer cannot outlive its authority: expected an end before "
            f"{issuer.not_valid_after_utc:%Y-%m-%d}, got {validity.not_after:%Y-%m-%d}."
        )


def expiry_problem(certificate: x509.Certificate, now: datetime) -> str | None:
    """Why a device would refuse a signature made with this certificate now, if it would."""
    if now > certificate.not_valid_after_utc:
        return f"expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    if now < certificate.not_valid_before_utc:
        return f"is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}"
    return None


def belongs(identity: Identity) -> bool:
    """Whether the certificate is for this very key."""
    return identity.certificate.public_key() == identity.key.public_key()


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether one certificate was signed by the other's key."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _certificate(
    key: PrivateKey, name: x509.Name, issuer: x509.Name, validity: Validity, issuer_key: PrivateKey
) -> x509.CertificateBuilder:
    """What the two kinds have in common; the key identifiers let a chain be found by key."""
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity.not_before)
        .not_valid_after(validity.not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
