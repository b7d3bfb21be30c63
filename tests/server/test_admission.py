"""Who is let in, by each of the papers, under each policy."""

from __future__ import annotations

import pytest

from flipside_server.admission import ClientCertificate, Papers, Policy, Verdict, admit
from flipside_server.credentials import new_token, proof

TOKEN = "secret-secret-secret"
GATEWAY = "gateway-gateway-gateway"
POLICY = Policy(gateway=proof(GATEWAY))
OURS = ClientCertificate("pi-1", "Fleet CA")


def verdict(kept: str | None, papers: Papers, policy: Policy = POLICY) -> Verdict:
    return admit(policy, "pi-1", kept, papers)


def test_the_right_token_is_let_in() -> None:
    token = new_token()
    assert verdict(proof(token), Papers(f"TargetToken {token}")) is Verdict.KNOWN


@pytest.mark.parametrize("kept", [proof(TOKEN), "", None])
@pytest.mark.parametrize(
    "header",
    [
        "",
        "TargetToken",
        "TargetToken ",
        f"targettoken {TOKEN}",
        f"TargetToken  {TOKEN}",
        f"TargetToken {TOKEN[:-1]}",
        f"TargetToken {TOKEN} ",
        f"GatewayToken {TOKEN}",
        f"TargetToken {GATEWAY}",
        f"gatewaytoken {GATEWAY}",
        "GatewayToken ",
        f"Bearer {TOKEN}",
        TOKEN,
        "TargetToken \xff\xfe",
        "TargetToken " + "0" * 64,
    ],
)
def test_anything_else_is_not(kept: str | None, header: str) -> None:
    assert verdict(kept, Papers(header)) is Verdict.REFUSED
    assert verdict(kept, Papers(header), Policy()) is Verdict.REFUSED


@pytest.mark.parametrize("papers", [Papers(f"GatewayToken {GATEWAY}"), Papers("", OURS)])
def test_the_gateway_and_a_certificate_speak_for_known_and_new(papers: Papers) -> None:
    assert verdict(proof(TOKEN), papers) is Verdict.KNOWN
    assert verdict("", papers) is Verdict.KNOWN
    assert verdict(None, papers) is Verdict.NEW


@pytest.mark.parametrize("papers", [Papers(f"GatewayToken {GATEWAY}"), Papers("", OURS)])
def test_without_registration_nobody_new_comes_in(papers: Papers) -> None:
    closed = Policy(gateway=proof(GATEWAY), registration=False)
    assert verdict(None, papers, closed) is Verdict.REFUSED
    assert verdict("", papers, closed) is Verdict.KNOWN


def test_a_target_token_never_registers() -> None:
    assert verdict(None, Papers(f"TargetToken {TOKEN}")) is Verdict.REFUSED


def test_target_tokens_can_be_switched_off() -> None:
    strict = Policy(target_tokens=False)
    assert verdict(proof(TOKEN), Papers(f"TargetToken {TOKEN}"), strict) is Verdict.REFUSED
    assert verdict(proof(TOKEN), Papers("", OURS), strict) is Verdict.KNOWN


@pytest.mark.parametrize("name", ["pi-2", "PI-1", "pi-1 ", "pi-1, pi-2", ""])
def test_a_certificate_speaks_for_its_own_name_alone(name: str) -> None:
    assert verdict(proof(TOKEN), Papers("", ClientCertificate(name))) is Verdict.REFUSED


def test_issuers_can_be_named() -> None:
    named = Policy(issuers=("Fleet CA",))
    assert verdict("", Papers("", OURS), named) is Verdict.KNOWN
    other = ClientCertificate("pi-1", "Mail CA")
    assert verdict("", Papers("", other), named) is Verdict.REFUSED
