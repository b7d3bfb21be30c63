"""The signature tail: found at the end of a bundle, and pinned."""

from __future__ import annotations

import hashlib

import pytest

from flipside_agent.errors import UpdateError
from flipside_agent.tail import LONGEST_SIGNATURE, Pinned, check_signing_time, digest_of, tail_of
from models.bundle import ModelSource, bundle_bytes


def test_the_tail_is_the_signature_and_its_length() -> None:
    bundle = bundle_bytes(100_000, signature=b"CMS!" * 300)
    tail = tail_of(bundle[-65_544:], len(bundle))
    assert tail == b"CMS!" * 300 + (1200).to_bytes(8, "big")
    assert digest_of(tail) == hashlib.sha256(tail).hexdigest()


@pytest.mark.parametrize("length", [0, LONGEST_SIGNATURE + 1, 2**63, 5000])
def test_a_length_that_cannot_be_is_no_signed_bundle(length: int) -> None:
    bundle = b"x" * 4000 + length.to_bytes(8, "big")
    with pytest.raises(UpdateError, match="not a signed RAUC bundle"):
        tail_of(bundle, len(bundle))


def test_a_bundle_that_is_all_signature_is_none() -> None:
    bundle = b"x" * 4000 + (4000).to_bytes(8, "big")
    with pytest.raises(UpdateError, match="not a signed RAUC bundle"):
        tail_of(bundle, len(bundle))


@pytest.mark.parametrize("where", [(0, 4), (0, 5000), (3990, 20), (4000, 8), (4990, 10), (4992, 8)])
def test_a_pinned_tail_is_shown_whatever_the_source_holds_now(where: tuple[int, int]) -> None:
    old = bundle_bytes(5000, signature=b"o" * 992)
    new = b"n" * 5000
    offset, length = where
    mixed = new[:4000] + old[4000:]
    pinned = Pinned(ModelSource(new), old[4000:])
    assert pinned.size == 5000
    assert pinned.read(offset, length, deadline=0) == mixed[offset : offset + length]


def test_a_signature_must_say_when_it_was_made() -> None:
    bundle = bundle_bytes(5000)
    check_signing_time(tail_of(bundle, len(bundle)))
    silent = bundle_bytes(5000, signature=b"CMS!" * 300)
    with pytest.raises(UpdateError, match="does not say when it was signed"):
        check_signing_time(tail_of(silent, len(silent)))
