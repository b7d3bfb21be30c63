"""The signature: what goes in, what comes out, and whether OpenSSL agrees."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from flipside_release import cms
from flipside_release.certificates import Identity
from flipside_release.errors import BundleError

MANIFEST = b"[update]\ncompatible=test\r\nversion=1\n\x00\n"


def test_the_content_is_kept_byte_for_byte(signer: Identity) -> None:
    assert cms.content(cms.sign(MANIFEST, signer)) == MANIFEST


def test_the_signers_certificate_comes_along_and_no_other(signer: Identity) -> None:
    assert cms.certificates(cms.sign(MANIFEST, signer)) == [signer.certificate]


def test_openssl_verifies_it(signer: Identity, authority: Identity, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on PATH")
    signature, keyring = tmp_path / "cms", tmp_path / "keyring.pem"
    signature.write_bytes(cms.sign(MANIFEST, signer))
    keyring.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    verify = [
        *("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(signature)),
        *("-CAfile", str(keyring), "-no-CApath", "-purpose", "any"),
    ]
    verified = subprocess.run(verify, capture_output=True, check=False)
    assert verified.returncode == 0, verified.stderr
    assert verified.stdout == MANIFEST


def test_half_a_signature_is_told(signer: Identity) -> None:
    half = cms.sign(MANIFEST, signer)[:200]
    with pytest.raises(BundleError, match="cut short"):
        cms.content(half)
    with pytest.raises(BundleError, match="certificates cannot be read"):
        cms.certificates(half)


def test_other_cms_is_told() -> None:
    enveloped = bytes.fromhex("300d06092a864886f70d010703a000")
    with pytest.raises(BundleError, match="not CMS signed data"):
        cms.content(enveloped)
