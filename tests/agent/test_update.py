"""What makes a bundle's description unfit to be worked with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flipside_agent.diagram import BUNDLE, HASH

LONGEST = "https://server/" + "x" * (2048 - len("https://server/"))


@pytest.mark.parametrize("url", ["http://server/bundle?x=[1]&y=%22", LONGEST])
def test_an_ordinary_address_is_taken(url: str) -> None:
    assert replace(BUNDLE, url=url, sha256=HASH).flaw() == ""


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://server/bundle",
        "file:///etc/shadow",
        "https://server/a b",
        'https://server/"',
        "https://server/\\",
        "https://server/\n",
        "https://sörver/",
        LONGEST + "x",
    ],
)
def test_any_other_is_not(url: str) -> None:
    assert "no http(s) URL" in replace(BUNDLE, url=url).flaw()


@pytest.mark.parametrize("digest", ["5" * 63, "5" * 65, "G" * 64, "A" * 64, "5" * 64 + "\n"])
def test_a_digest_is_64_lower_case_digits(digest: str) -> None:
    assert "SHA-256" in replace(BUNDLE, sha256=digest).flaw()
    assert "manifest hash" in replace(BUNDLE, manifest_hash=digest).flaw()
