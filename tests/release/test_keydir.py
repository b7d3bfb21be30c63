"""Keys on disk: encrypted, private, and never overwritten."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from flipside_release.certificates import Identity
from flipside_release.errors import OperatorError, WorkstationError
from flipside_release.keydir import AUTHORITY, SIGNER, KeyDirectory
from flipside_release.sealed import is_sealed, seal, unseal

SECRET = b"correct horse"


def test_a_sealed_key_opens_with_its_passphrase_alone(signer: Identity) -> None:
    pem = seal(signer.key, SECRET)
    assert is_sealed(pem)
    assert unseal(pem, SECRET, "k").private_numbers() == signer.key.private_numbers()
    for wrong in (b"correct hors", None, b""):
        with pytest.raises(OperatorError, match="passphrase does not open k"):
            unseal(pem, wrong, "k")


def test_two_seals_of_one_key_share_nothing(signer: Identity) -> None:
    one, other = (seal(signer.key, SECRET).splitlines()[3:-1] for _ in range(2))
    assert not set(one) & set(other)


def test_openssl_opens_it_too(signer: Identity, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on PATH")
    key, secret = tmp_path / "key.pem", tmp_path / "secret"
    key.write_bytes(seal(signer.key, SECRET))
    secret.write_bytes(SECRET)
    opened = subprocess.run(
        ["openssl", "pkey", "-in", key, "-passin", f"file:{secret}", "-pubout"],
        capture_output=True,
        check=True,
    )
    assert b"BEGIN PUBLIC KEY" in opened.stdout


def test_an_unencrypted_key_needs_no_passphrase(signer: Identity) -> None:
    pem = seal(signer.key, None)
    assert not is_sealed(pem)
    assert unseal(pem, SECRET, "k").private_numbers() == signer.key.private_numbers()


def test_what_is_no_key_is_told() -> None:
    with pytest.raises(OperatorError, match="k holds no private key"):
        unseal(b"hello", None, "k")


@pytest.fixture(scope="session")
def sealed_keys(
    tmp_path_factory: pytest.TempPathFactory, authority: Identity, signer: Identity
) -> Path:
    path = tmp_path_factory.mktemp("sealed") / "keys"
    directory = KeyDirectory(path)
    directory.reserve(AUTHORITY, SIGNER)
    directory.store({AUTHORITY: authority, SIGNER: signer}, SECRET)
    return path


@pytest.fixture
def stored(tmp_path: Path, sealed_keys: Path) -> Path:
    """A copy of its own for each test; sealing takes its time."""
    return Path(shutil.copytree(sealed_keys, tmp_path / "keys"))


def test_only_the_owner_may_look(sealed_keys: Path) -> None:
    assert sealed_keys.stat().st_mode & 0o777 == 0o700
    for name in (AUTHORITY, SIGNER):
        assert (sealed_keys / f"{name}.key.pem").stat().st_mode & 0o777 == 0o600
    assert KeyDirectory(sealed_keys).exposed(SIGNER) is None


def test_the_files_are_those_documented(stored: Path) -> None:
    assert sorted(path.name for path in stored.iterdir()) == [
        "authority.cert.pem",
        "authority.key.pem",
        "keyring.pem",
        "signer.cert.pem",
        "signer.key.pem",
    ]
    assert (stored / "keyring.pem").read_bytes() == (stored / "authority.cert.pem").read_bytes()


def test_an_open_key_is_noticed(stored: Path) -> None:
    key = stored / "signer.key.pem"
    key.chmod(0o640)
    assert KeyDirectory(stored).exposed(SIGNER) == key


def test_what_was_stored_is_loaded(stored: Path, signer: Identity) -> None:
    directory = KeyDirectory(stored)
    assert directory.needs_passphrase(SIGNER)
    assert directory.load(SIGNER, SECRET).certificate == signer.certificate


@pytest.mark.parametrize("left", ["authority.key.pem", "signer.cert.pem", "keyring.pem"])
def test_nothing_is_overwritten(stored: Path, left: str) -> None:
    for path in stored.iterdir():
        if path.name != left:
            path.unlink()
    before = (stored / left).read_bytes()
    with pytest.raises(OperatorError, match=f"{left} exists and is never overwritten"):
        KeyDirectory(stored).reserve(AUTHORITY, SIGNER)
    assert [path.name for path in stored.iterdir()] == [left]
    assert (stored / left).read_bytes() == before


def test_a_name_taken_in_the_meantime_leaves_nothing_half_stored(
    tmp_path: Path, authority: Identity, signer: Identity
) -> None:
    path = tmp_path / "keys"
    directory = KeyDirectory(path)
    directory.reserve(AUTHORITY, SIGNER)
    (path / "signer.cert.pem").write_text("somebody else's")
    with pytest.raises(WorkstationError, match="no key was stored"):
        directory.store({AUTHORITY: authority, SIGNER: signer}, None)
    assert [path.name for path in path.iterdir()] == ["signer.cert.pem"]
    assert (path / "signer.cert.pem").read_text() == "somebody else's"


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b"])
def test_a_name_stays_within_the_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(OperatorError, match="cannot name a key"):
        KeyDirectory(tmp_path / "keys").reserve(name)


def test_a_missing_key_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"signer\.key\.pem does not exist.*flipside keys init"):
        KeyDirectory(tmp_path).load(SIGNER, None)


def test_a_certificate_of_another_key_is_refused(stored: Path) -> None:
    (stored / "signer.cert.pem").write_bytes((stored / "authority.cert.pem").read_bytes())
    with pytest.raises(OperatorError, match="certificate of another key"):
        KeyDirectory(stored).load(SIGNER, SECRET)


def test_a_signer_of_another_authority_is_refused(stored: Path, foreign_keys: Path) -> None:
    for name in ("signer.cert.pem", "signer.key.pem"):
        (stored / name).write_bytes((foreign_keys / name).read_bytes())
    with pytest.raises(OperatorError, match="was not issued by"):
        KeyDirectory(stored).load(SIGNER, None)


def test_a_signer_without_its_authority_at_hand_is_taken(stored: Path, signer: Identity) -> None:
    for name in ("authority.key.pem", "authority.cert.pem"):
        (stored / name).unlink()
    assert KeyDirectory(stored).load(SIGNER, SECRET).certificate == signer.certificate
