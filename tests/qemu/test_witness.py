from __future__ import annotations

import pytest

from flipside_qemu.witness import Witness


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("flipside: slot B flipside.trial=1", "boot loader: slot B, on trial"),
        ("flipside: slot A ", "boot loader: slot A"),
        ("device# [   57.802148] flipside-agent[194]: flipside: verifying", "verifying"),
        ("[   57.802148] flipside-agent[194]: ImportError: half", "ImportError: half"),
        ("[    3.1] Kernel panic - not syncing: no init", "Kernel panic - not syncing: no init"),
    ],
)
def test_what_matters_is_told_in_plain_words(line: str, shown: str) -> None:
    heard: list[str] = []
    Witness(heard.append).hear(line)
    assert heard == [shown]


def test_other_lines_and_repetitions_are_not_told() -> None:
    heard: list[str] = []
    witness = Witness(heard.append)
    for line in (
        "[    1.0] systemd[1]: Failed to find module",
        "flipside: slot A",
        "flipside: slot A",
    ):
        witness.hear(line)
    assert heard == ["boot loader: slot A"]


def test_trials_and_panics_are_counted_until_forgotten() -> None:
    witness = Witness(lambda _line: None)
    for _ in range(3):
        witness.hear("flipside: slot B flipside.trial=1")
        witness.hear("[    3.100000] Kernel panic - not syncing: no init")
    witness.hear("flipside: slot A ")
    assert (witness.trials, witness.panics) == (3, 3)
    witness.forget()
    assert (witness.trials, witness.panics) == (0, 0)


def test_fetched_bytes_are_summed() -> None:
    witness = Witness(lambda _line: None)
    for count in (300, 4000):
        witness.hear(
            f"[ 9.1] flipside-agent[7]: flipside: bundle bytes: {count} fetched, 0 spooled"
        )
    assert witness.fetched == 4300
