"""What counts as an address, and what as the same party."""

from __future__ import annotations

import pytest

from flipside_agent.address import Site, address_of


@pytest.mark.parametrize(
    ("url", "site", "target"),
    [
        ("http://h", Site("http", "h", 80), "/"),
        (
            "https://Updates.Example:8443/a/b?c=-1",
            Site("https", "updates.example", 8443),
            "/a/b?c=-1",
        ),
        ("http://[::1]:8080/x", Site("http", "::1", 8080), "/x"),
        ("https://h/%20?q#fragment", Site("https", "h", 443), "/%20?q"),
    ],
)
def test_a_plain_url_is_taken_apart(url: str, site: Site, target: str) -> None:
    address = address_of(url)
    assert address is not None
    assert (address.site, address.target) == (site, target)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "h",
            "//h/x",
            "ftp://x",
            "file:///etc/passwd",
            "http://",
            "http:///x",
            "javascript:x",
        ),
        *("http://user@h/", "http://h:0/", "http://h:99999/", "http://h:x/", "http://[::1/"),
        *("http://h/a b", "http://h/\r\nX: y", "http://h/ü", "http://h_h/\x00", "http://h;h/"),
        "http://h/" + "a" * 3000,
    ],
)
def test_anything_else_is_no_address(url: str) -> None:
    assert address_of(url) is None


def test_a_default_port_is_the_same_site_as_none() -> None:
    one, other = address_of("https://h/"), address_of("https://H:443/x")
    assert one is not None
    assert other is not None
    assert one.site == other.site


def test_a_site_reads_as_one_writes_it() -> None:
    assert str(Site("https", "h", 443)) == "https://h"
    assert str(Site("http", "h", 8080)) == "http://h:8080"
    assert str(Site("http", "::1", 80)) == "http://[::1]"
