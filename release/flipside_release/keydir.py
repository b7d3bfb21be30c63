"""The directory in which an authority and its signers are kept.

    authority.key.pem   the authority's private key; may be moved elsewhere once signers are issued
    authority.cert.pem  its certificate
    keyring.pem         what a device trusts: the authority's certificate ([keyring] path=...)
    NAME.key.pem        a signer's private key; the first signer's NAME is `signer`
    NAME.cert.pem       its certificate

The directory is made for its owner alone (0700), as is every private key (0600).
No file is ever overwritten: a lost authority means a fleet that takes no update any more.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from flipside_release.certificates import Identity, belongs, issued_by
from flipside_release.errors import OperatorError, WorkstationError
from flipside_release.sealed import is_sealed, seal, unseal

AUTHORITY: Final = "authority"
SIGNER: Final = "signer"
KEYRING: Final = "keyring.pem"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class KeyDirectory:
    """Private keys and certificates under one roof."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def reserve(self, *names: str) -> None:
        """Make the directory, and refuse now, before slow work, what could not be stored later."""
        for name in names:
            if not _NAME.fullmatch(name):
                raise OperatorError(
                    f"'{name}' cannot name a key: expected letters, digits, '.', '_' and '-'."
                )
        taken = [path for path in self._files(names) if path.exists()]
        if taken:
            raise OperatorError(
                f"{taken[0]} exists and is never overwritten: choose another directory or name."
            )
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise WorkstationError(
                f"Cannot make the directory {self._path}: {error.strerror}."
            ) from error

    def store(self, identities: Mapping[str, Identity], passphrase: bytes | None) -> None:
        """Write keys and certificates, all or none."""
        written: list[Path] = []
        try:
            for name, identity in identities.items():
                certificate = identity.certificate.public_bytes(Encoding.PEM)
                self._create(self._key(name), seal(identity.key, passphrase), 0o600, written)
                self._create(self._certificate(name), certificate, 0o644, written)
                if name == AUTHORITY:
                    self._create(self._path / KEYRING, certificate, 0o644, written)
        except OSError as error:
            for path in written:
                path.unlink(missing_ok=True)
            raise WorkstationError(
                f"Cannot write to {self._path}, so no key was stored: {error.strerror}."
            ) from error

    def needs_passphrase(self, name: str) -> bool:
        """Whether this private key is encrypted."""
        return is_sealed(self._read(self._key(name)))

    def load(self, name: str, passphrase: bytes | None) -> Identity:
        """A private key with its certificate, after a look whether they belong together."""
        key = unseal(self._read(self._key(name)), passphrase, str(self._key(name)))
        identity = Identity(key, self._load_certificate(name))
        if not belongs(identity):
            raise OperatorError(
                f"{self._certificate(name)} is the certificate of another key than "
                f"{self._key(name)}: expected a pair."
            )
        self._check_issuer(name, identity.certificate)
        return identity

    def exposed(self, name: str) -> Path | None:
        """The private key if others than its owner may read or write it."""
        path = self._key(name)
        try:
            mode = path.stat().st_mode
        except OSError:
            return None
        return path if mode & 0o077 else None

    def _check_issuer(self, name: str, certificate: x509.Certificate) -> None:
        """Catch a signer left over from another authority; an absent one cannot be asked."""
        path = self._certificate(AUTHORITY)
        if path.exists() and not issued_by(certificate, self._load_certificate(AUTHORITY)):
            raise OperatorError(
                f"{self._certificate(name)} was not issued by {path}: no device that trusts the "
                "one would accept the other."
            )

    def _load_certificate(self, name: str) -> x509.Certificate:
        path = self._certificate(name)
        try:
            return x509.load_pem_x509_certificate(self._read(path))
        except ValueError as error:
            raise OperatorError(f"{path} holds no certificate in PEM form.") from error

    def _read(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise OperatorError(
                f"{path} does not exist: expected a directory made by `flipside keys init`."
            ) from error
        except OSError as error:
            raise WorkstationError(f"Cannot read {path}: {error.strerror}.") from error

    def _files(self, names: Iterable[str]) -> list[Path]:
        files = [path for name in names for path in (self._key(name), self._certificate(name))]
        return [*files, self._path / KEYRING] if AUTHORITY in names else files

    def _key(self, name: str) -> Path:
        return self._path / f"{name}.key.pem"

    def _certificate(self, name: str) -> Path:
        return self._path / f"{name}.cert.pem"

    @staticmethod
    def _create(path: Path, content: bytes, mode: int, written: list[Path]) -> None:
        """Write a file that must not exist, down to the disk."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        written.append(path)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    """Make the names in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
