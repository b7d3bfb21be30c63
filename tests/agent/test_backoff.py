"""How long to wait before trying again."""

from __future__ import annotations

from itertools import islice

from flipside_agent.backoff import at_least, delays


def test_grows_to_the_longest_and_stays_there() -> None:
    steps = list(islice(delays(1, 10, lambda: 1.0), 6))
    assert steps == [1, 2, 4, 8, 10, 10]


def test_chance_moves_a_delay_within_the_upper_half_of_its_step() -> None:
    assert list(islice(delays(1, 10, lambda: 0.0), 6)) == [0.5, 1, 2, 4, 5, 5]


def test_a_first_delay_above_the_longest_is_cut() -> None:
    assert next(delays(60, 10, lambda: 1.0)) == 10


def test_the_server_can_ask_for_more_but_not_for_ever() -> None:
    assert at_least(2, asked=0, longest=60) == 2
    assert at_least(2, asked=30, longest=60) == 30
    assert at_least(2, asked=9999, longest=60) == 60
