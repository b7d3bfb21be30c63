"""Ed25519 keys for checkpoints of the audit log (RFC 8032), through ``cryptography``."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from flipside_server.audit import Checkpoint
from flipside_server.errors import OperatorError


def make_key(path: Path) -> Path:
    """Make a private key, for its owner's eyes only, and its public one beside it; the latter."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    beside = path.with_name(path.name + ".pub")
    try:
        for place, content, mode in [(path, private, 0o600), (beside, public, 0o644)]:
            file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            with os.fdopen(file, "wb") as stream:
                stream.write(content)
    except OSError as error:
        raise OperatorError(f"cannot make the key {path}: {error.strerror}") from error
    return beside


def signed(checkpoint: Checkpoint, key: Path) -> Checkpoint:
    """The checkpoint with the signature of the private key in this file."""
    try:
        private = load_pem_private_key(key.read_bytes(), None)
    except OSError as error:
        raise OperatorError(f"cannot read the key {key}: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise OperatorError(f"{key} holds no unencrypted PEM key: {error}") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise OperatorError(f"{key} holds no Ed25519 key: make one with 'audit key'")
    known = private.public_key().public_bytes_raw().hex()
    return replace(checkpoint, key=known, signature=private.sign(checkpoint.statement()).hex())


def public_key(path: Path) -> str:
    """The public key in this file, as checkpoints carry it."""
    try:
        public = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise OperatorError(f"cannot read the public key {path}: {error.strerror}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise OperatorError(f"{path} holds no public key in PEM: {error}") from error
    if not isinstance(public, Ed25519PublicKey):
        raise OperatorError(f"{path} holds no Ed25519 public key")
    return public.public_bytes_raw().hex()


def is_signed(checkpoint: Checkpoint) -> bool:
    """Whether the key that the checkpoint names signed it."""
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(checkpoint.key))
        public.verify(bytes.fromhex(checkpoint.signature), checkpoint.statement())
    except (ValueError, InvalidSignature):
        return False
    return True
