"""Attacks that have no other home, and the list in docs/security.md of where the others live."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import flipside_server
from flipside_server.errors import OperatorError
from flipside_server.orders import Subject
from models.ddi_device import Device, House

TESTS = Path(__file__).parent
PAGE = TESTS.parent.parent / "docs" / "security.md"
BOMBS = {
    "lists": b"[" * 90_000,
    "objects": b'{"a":' * 90_000,
    "a number": b'{"data":{"a":' + b"9" * 900_000 + b"}}",
    "many keys": b"{" + b",".join(b'"%d":0' % n for n in range(60_000)) + b"}",
}


def test_the_page_names_tests_that_exist() -> None:
    section = PAGE.read_text().partition("## Attacks on the server")[2].partition("\n## ")[0]
    named = re.findall(r"`(test_[a-z_]+\.py)::(test_[a-z0-9_]+)`", section)
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 9
    assert all("::test_" in row for row in rows)
    for file, test in named:
        assert f"\ndef {test}(" in (TESTS / file).read_text(), f"{file}::{test}"


def test_the_server_starts_no_program() -> None:
    for file in Path(flipside_server.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Import(names=names):
                    assert not {"subprocess", "pty"} & {one.name for one in names}, file.name
                case ast.ImportFrom(module=module):
                    assert module not in ("subprocess", "pty"), file.name
                case ast.Attribute(value=ast.Name(id="os"), attr=name):
                    assert not name.startswith(("exec", "spawn", "system", "popen")), file.name


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("place", ["/configData", "/deploymentBase/1/feedback"])
def test_a_json_bomb_is_malformed(house: House, device: Device, bomb: str, place: str) -> None:
    house.assign(device.name, house.release("1.0"))
    before = house.written()
    method = "PUT" if place == "/configData" else "POST"
    answer = device.call(method, place, BOMBS[bomb])
    assert answer.status == 400
    assert len(answer.body) < 1000
    assert house.written() == before


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "..\\x", "a\0b", "a\r\nb", ".x", "%2e%2e%2fx", "x" * 129],
)
def test_a_file_is_kept_under_no_name_but_its_contents(house: House, name: str) -> None:
    with pytest.raises(OperatorError, match="cannot be used"):
        house.release("1.0", file=name)
    assert house.show(Subject.ARTIFACTS) == []
    house.release("1.0", file="fw.raucb")
    [kept] = (one for one in (house.path / "artifacts").rglob("*") if one.is_file())
    assert re.fullmatch("[0-9a-f]{64}", kept.name)
