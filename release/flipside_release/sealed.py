"""A private key under a passphrase: PKCS#8 with scrypt (RFC 5958, 8018 and 7914).

`cryptography` encrypts PKCS#8 too, but with 2048 rounds of PBKDF2 and no way to raise them, which
hardly slows down somebody who tries passphrases on a stolen file.
So the key is derived with the library's scrypt, and the standard envelope is written here; OpenSSL,
RAUC and `cryptography` itself read it as any other.
"""

from __future__ import annotations

import base64
import os
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from flipside_release import der
from flipside_release.certificates import PrivateKey
from flipside_release.errors import OperatorError

_PBES2: Final = bytes.fromhex("2a864886f70d01050d")  # 1.2.840.113549.1.5.13
_SCRYPT: Final = bytes.fromhex("2b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11
_AES_256_CBC: Final = bytes.fromhex("60864801650304012a")  # 2.16.840.1.101.3.4.1.42
_COST: Final = 2**14
_BLOCK: Final = 8
"""With the cost above 16 MiB; OpenSSL refuses to read a key that needs 32 MiB or more."""
_PARALLEL: Final = 5
"""What OWASP's password storage cheat sheet asks for at this cost, about a third of a second."""
_LABEL: Final = "ENCRYPTED PRIVATE KEY"


def seal(key: PrivateKey, passphrase: bytes | None) -> bytes:
    """The key as PEM, encrypted if there is a passphrase."""
    if passphrase is None:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    salt, vector = os.urandom(16), os.urandom(16)
    derived = Scrypt(salt, 32, _COST, _BLOCK, _PARALLEL).derive(passphrase)
    padder = PKCS7(algorithms.AES.block_size).padder()
    encryptor = Cipher(algorithms.AES256(derived), modes.CBC(vector)).encryptor()
    sealed = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    return _pem(
        der.encode(der.SEQUENCE, _scheme(salt, vector), der.encode(der.OCTET_STRING, sealed))
    )


def is_sealed(pem: bytes) -> bool:
    """Whether the key needs a passphrase, in this or the older form of PEM."""
    return b"ENCRYPTED" in pem


def unseal(pem: bytes, passphrase: bytes | None, name: str) -> PrivateKey:
    """The key from its PEM."""
    try:
        key = load_pem_private_key(pem, passphrase if is_sealed(pem) else None)
    except (ValueError, TypeError) as error:
        if is_sealed(pem):
            raise OperatorError(f"The passphrase does not open {name}.") from error
        raise OperatorError(f"{name} holds no private key in PEM form.") from error
    if not isinstance(key, PrivateKey):
        raise OperatorError(f"{name} holds a key that cannot sign a bundle: expected RSA.")
    return key


def _scheme(salt: bytes, vector: bytes) -> bytes:
    """Which algorithms sealed the key (RFC 8018, A.4; RFC 7914, 7)."""
    scrypt = der.encode(
        der.SEQUENCE,
        der.encode(der.OCTET_STRING, salt),
        der.encode_integer(_COST),
        der.encode_integer(_BLOCK),
        der.encode_integer(_PARALLEL),
    )
    parameters = der.encode(
        der.SEQUENCE,
        _algorithm(_SCRYPT, scrypt),
        _algorithm(_AES_256_CBC, der.encode(der.OCTET_STRING, vector)),
    )
    return _algorithm(_PBES2, parameters)


def _algorithm(identifier: bytes, parameters: bytes) -> bytes:
    return der.encode(der.SEQUENCE, der.encode(der.OBJECT_IDENTIFIER, identifier), parameters)


def _pem(encoded: bytes) -> bytes:
    text = base64.b64encode(encoded)
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return b"\n".join(
        [f"-----BEGIN {_LABEL}-----".encode(), *lines, f"-----END {_LABEL}-----\n".encode()]
    )
