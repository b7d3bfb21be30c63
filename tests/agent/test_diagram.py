"""The drawing in the documentation is the machine's own."""

from __future__ import annotations

from pathlib import Path

from flipside_agent.diagram import BEGIN, END, STATES, drawing, redrawn, transitions
from flipside_agent.machine import pending

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"


def test_the_page_shows_the_machine_as_it_is() -> None:
    page = ARCHITECTURE.read_text()
    assert page == redrawn(page), "run `make diagram`"


def test_the_rest_of_a_page_stays() -> None:
    page = redrawn(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert page == f"before\n{BEGIN}\n{drawing()}\n{END}\nafter\n"


def test_every_state_is_drawn_and_can_be_left() -> None:
    ways = list(transitions())
    names = {type(state).__name__ for state in STATES}
    assert {source for source, _, _ in ways} == names
    assert {target for _, _, target in ways} - {"UnderWay"} <= names


def test_every_state_but_idle_owes_something() -> None:
    assert [type(state).__name__ for state in STATES if pending(state) is None] == ["Idle"]
