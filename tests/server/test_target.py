"""Device attributes: merged, replaced, removed, bounded."""

from __future__ import annotations

from typing import Any

import pytest

from flipside_server.errors import AttributesError, MalformedError, OperatorError, QuotaError
from flipside_server.target import (
    LONGEST_ATTRIBUTE,
    MOST_ATTRIBUTES,
    Target,
    checked_controller_id,
    described,
    updated,
)

KNOWN = Target(1, "pi-1", "sha256:0", attributes={"hw": "rpi4", "region": "eu"})


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"data": {"hw": "rpi5"}}, {"hw": "rpi5", "region": "eu"}),
        ({"mode": "merge", "data": {"v": "1"}}, {"hw": "rpi4", "region": "eu", "v": "1"}),
        ({"mode": "replace", "data": {"v": "1"}}, {"v": "1"}),
        ({"mode": "remove", "data": {"hw": "", "none": 1}}, {"region": "eu"}),
        ({"id": "", "time": "x", "status": {}, "data": {"v": 1}}, {**KNOWN.attributes, "v": "1"}),
        ({"mode": None, "data": {"on": True}}, {**KNOWN.attributes, "on": "true"}),
    ],
)
def test_what_is_known_after_config_data(document: Any, expected: dict[str, str]) -> None:
    target = described(KNOWN, document)
    assert target.attributes == expected
    assert not target.wants_attributes


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"data": {}},
        {"data": []},
        {"data": {"k": None}},
        {"data": {"k": ["v"]}},
        {"mode": "MERGE", "data": {"k": "v"}},
        {"mode": 1, "data": {"k": "v"}},
    ],
)
def test_what_is_no_config_data(document: Any) -> None:
    with pytest.raises(MalformedError):
        described(KNOWN, document)


@pytest.mark.parametrize("data", [{"k": "v" * 129}, {"k" * 129: "v"}, {"": "v"}])
def test_attributes_have_a_length(data: dict[str, str]) -> None:
    described(KNOWN, {"data": {"k" * LONGEST_ATTRIBUTE: "v" * LONGEST_ATTRIBUTE}})
    with pytest.raises(AttributesError):
        described(KNOWN, {"data": data})


def test_attributes_have_a_number() -> None:
    full = described(KNOWN, {"mode": "replace", "data": _many(MOST_ATTRIBUTES)})
    assert len(full.attributes) == MOST_ATTRIBUTES
    with pytest.raises(QuotaError):
        described(full, {"data": {"one more": "v"}})


def test_after_an_update_the_device_is_asked_anew() -> None:
    target = updated(described(KNOWN, {"data": {"v": "1"}}), 7)
    assert target.wants_attributes
    assert target.installed == 7


@pytest.mark.parametrize("name", ["", ".", "../x", "a/b", "a b", "ü", "-a", "a" * 129, "a\n"])
def test_names_that_fit_no_url(name: str) -> None:
    with pytest.raises(OperatorError, match="cannot be used"):
        checked_controller_id(name)


@pytest.mark.parametrize("name", ["pi-1", "aa:bb:cc", "A.b_c@d+e~f", "a" * 128])
def test_names_that_do(name: str) -> None:
    assert checked_controller_id(name) == name


def _many(number: int) -> dict[str, str]:
    return {f"key{one}": "v" for one in range(number)}
