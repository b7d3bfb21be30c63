"""Records survive the way through JSON."""

from __future__ import annotations

import json

import pytest

from flipside_server.action import Action, Kind, State, Status
from flipside_server.codec import decode, encode
from flipside_server.software import Artifact, DistributionSet, SoftwareModule
from flipside_server.store import Record
from flipside_server.target import Target

ARTIFACT = Artifact("fw.raucb", 5, "aa", "bb", "cc", 9)


@pytest.mark.parametrize(
    "record",
    [
        Target(1, "pi-1", "sha256:0", 3, {"hw": "ü\ud800"}, wants_attributes=False, installed=2),
        SoftwareModule(1, "os", "1.0", "os", (ARTIFACT, ARTIFACT), {"k": "v"}),
        DistributionSet(1, "os", "1.0", (1, 2)),
        Action(5, 1, 1, State.CANCELING, 7, retrieved=True),
        Status(1, 5, Kind.WARNING, 8, ("one", "two")),
    ],
    ids=lambda record: type(record).__name__,
)
def test_there_and_back(record: Record) -> None:
    again = decode(type(record), json.loads(json.dumps(encode(record))))
    assert again == record


def test_states_come_back_as_states() -> None:
    assert decode(Action, {"id": 1, "target": 1, "distribution_set": 1, "state": "error"}).closed


def test_what_an_older_server_did_not_know_gets_its_default() -> None:
    assert decode(Target, {"id": 1, "controller_id": "a", "token": "t"}).wants_attributes


def test_what_a_newer_server_knows_is_left_out() -> None:
    document = encode(DistributionSet(1, "os", "1.0")) | {"colour": "blue"}
    assert decode(DistributionSet, document) == DistributionSet(1, "os", "1.0")
