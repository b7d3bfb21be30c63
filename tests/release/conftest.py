"""Keys and an image for the tests of the release desk."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from flipside_release import certificates
from flipside_release.certificates import Identity, Validity
from flipside_release.keydir import AUTHORITY, SIGNER, KeyDirectory


def make_authority() -> Identity:
    """An authority with a short key, which a test need not wait for."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    validity = certificates.from_now(datetime.now(UTC), timedelta(days=100))
    return certificates.authority(key, certificates.subject("Update authority", "Test"), validity)


def make_signer(authority: Identity, validity: Validity | None = None) -> Identity:
    """A signer below an authority."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    lifetime = validity or certificates.from_now(datetime.now(UTC), timedelta(days=90))
    name = certificates.subject("Update signer", "Test")
    return certificates.signer(key, name, lifetime, authority)


@pytest.fixture(scope="session")
def authority() -> Identity:
    return make_authority()


@pytest.fixture(scope="session")
def signer(authority: Identity) -> Identity:
    return make_signer(authority)


@pytest.fixture(scope="session")
def keys(authority: Identity, signer: Identity, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an authority, a signer, and one whose certificate has expired."""
    path = tmp_path_factory.mktemp("keys") / "keys"
    past = Validity(datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 2, 1, tzinfo=UTC))
    directory = KeyDirectory(path)
    directory.reserve(AUTHORITY, SIGNER)
    directory.store({AUTHORITY: authority, SIGNER: signer}, None)
    directory.store({"old": make_signer(authority, past)}, None)
    return path


@pytest.fixture(scope="session")
def foreign_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another authority of the same name, with a signer of the same name."""
    path = tmp_path_factory.mktemp("foreign") / "keys"
    stranger = make_authority()
    directory = KeyDirectory(path)
    directory.reserve(AUTHORITY, SIGNER)
    directory.store({AUTHORITY: stranger, SIGNER: make_signer(stranger)}, None)
    return path


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image that is not a whole number of squashfs blocks, half of it zeros."""
    path = tmp_path_factory.mktemp("image") / "image-v2.ext4"
    noise = random.Random(2)
    path.write_bytes(b"".join(noise.randbytes(70_000) + bytes(65_536) for _ in range(8)))
    return path
