"""Tokens: who is let in, and what is kept."""

from __future__ import annotations

import pytest

from flipside_server.credentials import admits, checked_token, new_token, proof
from flipside_server.errors import OperatorError


def test_the_right_token_is_let_in() -> None:
    token = new_token()
    assert len(token) == 32
    assert admits(proof(token), f"TargetToken {token}")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "TargetToken",
        "TargetToken ",
        "targettoken secret-secret-secret",
        "TargetToken  secret-secret-secret",
        "TargetToken secret-secret-secre",
        "TargetToken secret-secret-secret ",
        "GatewayToken secret-secret-secret",
        "Bearer secret-secret-secret",
        "secret-secret-secret",
        "TargetToken \xff\xfe",
    ],
)
def test_anything_else_is_not(header: str | None) -> None:
    assert not admits(proof("secret-secret-secret"), header)


def test_an_unknown_target_is_not_let_in_by_any_token() -> None:
    for header in [None, "TargetToken ", "TargetToken " + "0" * 64]:
        assert not admits(None, header)


def test_the_token_is_not_in_its_proof() -> None:
    assert "secret" not in proof("secret-secret-secret")


@pytest.mark.parametrize(
    "text", ["", "short", "x" * 15, "x" * 129, "has space in it!!", "a\nb" * 9]
)
def test_tokens_that_cannot_be_used(text: str) -> None:
    with pytest.raises(OperatorError) as refused:
        checked_token(text)
    assert text not in str(refused.value) or not text
