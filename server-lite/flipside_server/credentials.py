"""Tokens: made, checked, and kept as a proof that does not give them away.

A token is kept as its SHA-256: a generated one has 128 random bits, and a given one must be
long, so that there is nothing to guess from the proof.
The proof names its scheme, so that tokens sealed under a key can stand beside it.
"""

from __future__ import annotations

import hashlib
import re
import secrets

from flipside_server.errors import OperatorError

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,128}")
NOBODY = "sha256:" + "0" * 64
"""No token has this proof."""


def new_token() -> str:
    """A fresh token: 32 hex digits, as hawkBit's."""
    return secrets.token_hex(16)


def checked_token(text: str) -> str:
    """The token, if it is long enough and can stand in a header."""
    if _TOKEN.fullmatch(text) is None:
        raise OperatorError(
            "the token cannot be used: give 16 to 128 letters, digits or any of ._~+/=-"
        )
    return text


def proof(token: str) -> str:
    """What is kept of a token."""
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()
