"""What stands in the certificates, and when they are good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from flipside_release import certificates
from flipside_release.certificates import Identity, Validity
from flipside_release.errors import OperatorError

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def critical(certificate: x509.Certificate, kind: type[x509.ExtensionType]) -> bool:
    return certificate.extensions.get_extension_for_class(kind).critical


def test_the_authority_may_issue_and_nothing_else(authority: Identity) -> None:
    extensions = authority.certificate.extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert (constraints.ca, constraints.path_length) == (True, 0)
    assert usage.key_cert_sign
    assert not usage.digital_signature
    assert critical(authority.certificate, x509.BasicConstraints)
    assert critical(authority.certificate, x509.KeyUsage)
    with pytest.raises(x509.ExtensionNotFound):
        extensions.get_extension_for_class(x509.ExtendedKeyUsage)


def test_the_signer_may_sign_code_and_nothing_else(signer: Identity) -> None:
    extensions = signer.certificate.extensions
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.CODE_SIGNING]
    assert usage.digital_signature
    assert not usage.key_cert_sign
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert critical(signer.certificate, x509.BasicConstraints)
    assert critical(signer.certificate, x509.KeyUsage)


def test_the_key_identifiers_join_signer_and_authority(
    authority: Identity, signer: Identity
) -> None:
    own = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    said = signer.certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    assert said.value.key_identifier == own.value.digest
    assert certificates.issued_by(signer.certificate, authority.certificate)
    assert not certificates.issued_by(authority.certificate, signer.certificate)


def test_lifetimes_begin_before_now_and_end_as_promised() -> None:
    for lifetime, years in (
        (certificates.AUTHORITY_LIFETIME, 30),
        (certificates.SIGNER_LIFETIME, 2),
    ):
        validity = certificates.from_now(NOW, lifetime)
        assert validity.not_before == NOW - timedelta(days=1)
        assert validity.not_after >= NOW.replace(year=NOW.year + years)


def test_a_signer_does_not_outlive_its_authority(authority: Identity) -> None:
    end = authority.certificate.not_valid_after_utc
    certificates.check_lifetime(Validity(NOW, end), authority.certificate)
    with pytest.raises(OperatorError, match="outlive its authority"):
        certificates.check_lifetime(
            Validity(NOW, end + timedelta(seconds=1)), authority.certificate
        )


def test_a_lifetime_does_not_end_before_it_begins(authority: Identity) -> None:
    with pytest.raises(OperatorError, match="before it begins"):
        certificates.check_lifetime(Validity(NOW, NOW), authority.certificate)


def test_expiry_is_told_by_day(signer: Identity) -> None:
    begin = signer.certificate.not_valid_before_utc
    end = signer.certificate.not_valid_after_utc
    assert certificates.expiry_problem(signer.certificate, begin) is None
    assert certificates.expiry_problem(signer.certificate, end) is None
    late = certificates.expiry_problem(signer.certificate, end + timedelta(seconds=1))
    early = certificates.expiry_problem(signer.certificate, begin - timedelta(seconds=1))
    assert late == f"expired on {end:%Y-%m-%d}"
    assert early == f"is not valid before {begin:%Y-%m-%d}"


def test_a_pair_is_known_from_a_mixture(authority: Identity, signer: Identity) -> None:
    assert certificates.belongs(signer)
    assert not certificates.belongs(Identity(signer.key, authority.certificate))


@pytest.mark.parametrize(
    ("common_name", "organisation"), [("", "x"), ("x" * 65, None), ("x", ""), ("a\nb", None)]
)
def test_names_that_x509_cannot_hold_are_refused(common_name: str, organisation: str) -> None:
    with pytest.raises(OperatorError, match="1 to 64 printable"):
        certificates.subject(common_name, organisation)


def test_the_organisation_is_found_again(authority: Identity) -> None:
    assert certificates.organisation(authority.certificate) == "Test"
