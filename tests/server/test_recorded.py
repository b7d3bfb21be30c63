"""What a real hawkBit answered to devices, against what we answer: same status, same content.

Where we differ on purpose, docs/ddi.md says so, and why; this test reads that table.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from models.ddi_device import Answer
from models.recorded_hawkbit import ROLLOUTS, Exchange, recorded, told

DOCS = Path(__file__).parent.parent.parent / "docs" / "ddi.md"
ROW = re.compile(r"^\| `(ddi [^`]+)` \| (\d{3})[^|]* \| (\d{3})[^|]* \|", re.MULTILINE)
ROWS = ROW.findall(DOCS.read_text(encoding="utf-8"))
DELIBERATE = {name: (int(theirs), int(ours)) for name, theirs, ours in ROWS}
DEVICES = [exchange for exchange in recorded() if exchange.device]
FREE = {"message", "exceptionClass", "messages", "activatedAt"}
"""Members whose words are everybody's own; their types are not."""
HEADERS = ("accept-ranges", "content-disposition", "content-range", "content-type")


@pytest.fixture(scope="module", name="answers")
def _answers(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Exchange, Answer]]:
    story = told(tmp_path_factory.mktemp("house"))
    return {exchange.step: (exchange, answer) for exchange, answer in story}


def test_every_exchange_with_a_device_is_told_but_those_of_rollouts() -> None:
    everything = [one for one in recorded() if "/controller/v1/" in one.path]
    assert len(everything) == 109
    assert len([one for one in everything if ROLLOUTS.match(one.name)]) == 11
    assert len(DEVICES) == 98
    assert set(DELIBERATE) <= {one.name for one in DEVICES}


@pytest.mark.parametrize("step", [one.step for one in DEVICES], ids=[one.name for one in DEVICES])
def test_as_hawkbit_answered(step: int, answers: dict[int, tuple[Exchange, Answer]]) -> None:
    exchange, answer = answers[step]
    if exchange.name in DELIBERATE:
        assert (exchange.status, answer.status) == DELIBERATE[exchange.name]
        return
    assert answer.status == exchange.status
    assert _said(exchange, answer) == _recorded(exchange)
    if answer.body or exchange.method == "HEAD":
        assert _headers(answer.headers) == _headers(exchange.response_headers)
    if "etag" in exchange.response_headers:
        assert answer.headers["etag"]


def _recorded(exchange: Exchange) -> Any:
    """What the real one said, as far as it was written down: of a download only its size."""
    said = exchange.response
    if isinstance(said, str) and (size := re.fullmatch(r"<(\d+) bytes>", said)):
        return int(size[1]) if _bare(exchange) else bool(said)
    return said if isinstance(said, str) else _normal(said)


def _said(exchange: Exchange, answer: Answer) -> Any:
    """What we said, in the same form."""
    said = exchange.response
    if isinstance(said, str) and said.startswith("<"):
        return len(answer.body) if _bare(exchange) else bool(answer.body)
    if isinstance(said, str):
        return answer.body.decode()
    return _normal(answer.json) if answer.body else None


def _bare(exchange: Exchange) -> bool:
    """Whether the body is bytes of the file, or none, so that its size has to be the same."""
    kind = exchange.response_headers.get("content-type", "application/octet-stream")
    return kind == "application/octet-stream"


def _normal(value: Any, member: str = "") -> Any:
    """The value without what cannot be equal: our own words, times, the number behind ``c=``."""
    if member in FREE:
        return type(value).__name__
    if isinstance(value, dict):
        return {key: _normal(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [_normal(one) for one in value]
    return re.sub(r"c=-?\d+", "c=", value) if isinstance(value, str) else value


def _headers(headers: dict[str, str]) -> dict[str, str]:
    found = {name: headers[name] for name in HEADERS if name in headers}
    return {name: re.sub(r"boundary=.+", "boundary=", text) for name, text in found.items()}
