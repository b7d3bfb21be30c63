"""Who may come in: a device by its token, the gateway's token or its client certificate.

Nothing here takes longer for one secret than for another: what is given is hashed once and
compared in constant time with what is kept, also where nothing is kept.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import StrEnum

from flipside_server.credentials import NOBODY, proof

CERTIFICATE = "flipside.client_certificate"
"""Key of the WSGI environment under which a listener puts a ``ClientCertificate``.

Only after the TLS handshake has verified the certificate; no request header can make this key.
"""
_TARGET = "TargetToken "
_GATEWAY = "GatewayToken "


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What a verified client certificate says."""

    common_name: str
    """The subject's, which has to be the controller id."""
    issuer: str = ""
    """The issuer's common name."""


@dataclass(frozen=True, slots=True)
class Papers:
    """What a request shows of its sender."""

    authorization: str = ""
    """The Authorization header."""
    certificate: ClientCertificate | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """Who is let in."""

    target_tokens: bool = True
    gateway: str = ""
    """Proof of the gateway token, as :mod:`flipside_server.credentials` makes it; empty if none."""
    registration: bool = True
    """A device that the gateway token or a certificate lets in may be a new one."""
    issuers: tuple[str, ...] = ()
    """Issuers whose certificates count; empty for every one that the listener believes."""


ANYBODY_KNOWN = Policy()


class Verdict(StrEnum):
    """What becomes of the request."""

    KNOWN = "known"
    NEW = "new"
    REFUSED = "refused"


def admit(policy: Policy, controller_id: str, kept: str | None, papers: Papers) -> Verdict:
    """Whether the sender may speak for this target, of whose token this proof is kept.

    The proof is None for a target that is not known, and empty for one that has no token.
    """
    by_target = _shows(papers.authorization, _TARGET, kept if policy.target_tokens else None)
    by_gateway = _shows(papers.authorization, _GATEWAY, policy.gateway)
    vouched = by_gateway or _certified(policy, controller_id, papers.certificate)
    if kept is not None:
        return Verdict.KNOWN if by_target or vouched else Verdict.REFUSED
    return Verdict.NEW if vouched and policy.registration else Verdict.REFUSED


def _shows(authorization: str, scheme: str, kept: str | None) -> bool:
    # hawkBit matches the scheme with its case and one space; both stock clients send it so.
    token = authorization.removeprefix(scheme) if authorization.startswith(scheme) else ""
    return hmac.compare_digest(proof(token), kept or NOBODY)


def _certified(policy: Policy, controller_id: str, shown: ClientCertificate | None) -> bool:
    if shown is None or shown.common_name != controller_id:
        return False
    return not policy.issuers or shown.issuer in policy.issuers
