"""Tokens: which can be used, and what is kept of them."""

from __future__ import annotations

import pytest

from flipside_server.credentials import checked_token, new_token, proof
from flipside_server.errors import OperatorError


def test_a_new_token_is_as_long_as_hawkbits() -> None:
    assert len(new_token()) == 32
    assert new_token() != new_token()


def test_the_token_is_not_in_its_proof() -> None:
    assert "secret" not in proof("secret-secret-secret")


@pytest.mark.parametrize(
    "text", ["", "short", "x" * 15, "x" * 129, "has space in it!!", "a\nb" * 9]
)
def test_tokens_that_cannot_be_used(text: str) -> None:
    with pytest.raises(OperatorError) as refused:
        checked_token(text)
    assert text not in str(refused.value) or not text
