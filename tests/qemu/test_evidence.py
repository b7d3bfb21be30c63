from __future__ import annotations

from dataclasses import replace

import pytest

from flipside_qemu.evidence import Facts, contradictions
from flipside_qemu.story import STORY, Chapter, Ending, Flaw

GOOD, PANIC, SICK, AGENTLESS, FORGED, _ = STORY

CONFIRMED = Facts(
    running="2",
    booted="B",
    target="B",
    target_state="good",
    target_version="2",
    target_unchanged=False,
    server_state="finished",
    server_words="version 2 runs",
    panics=0,
    trials=1,
    fetched=54_000_000,
)
RETURNED = Facts(
    running="2",
    booted="B",
    target="A",
    target_state="bad",
    target_version="3",
    target_unchanged=False,
    server_state="error",
    server_words="the boot loader fell back",
    panics=3,
    trials=3,
    fetched=54_000_000,
)
REFUSED = replace(
    RETURNED,
    target_version="5",
    target_unchanged=True,
    server_words="signature verification failed",
    panics=0,
    trials=0,
)


@pytest.mark.parametrize(
    ("chapter", "facts"),
    [
        (GOOD, CONFIRMED),
        (PANIC, RETURNED),
        (
            SICK,
            replace(
                RETURNED, target_version="4", trials=1, panics=0, server_words="pump-answers failed"
            ),
        ),
        (AGENTLESS, replace(RETURNED, target_version="5", panics=0)),
        (FORGED, REFUSED),
    ],
)
def test_the_story_as_it_should_go_has_no_contradiction(chapter: Chapter, facts: Facts) -> None:
    assert contradictions(chapter, facts) == ()


@pytest.mark.parametrize(
    ("chapter", "facts", "sentence"),
    [
        (GOOD, replace(CONFIRMED, running="1"), "version 1 runs, expected 2"),
        (GOOD, replace(CONFIRMED, fetched=0), "does not say that it fetched anything"),
        (GOOD, replace(CONFIRMED, server_state="open"), "the server says open, expected finished"),
        (GOOD, replace(CONFIRMED, booted="A"), "slot A is booted, expected B"),
        (GOOD, replace(CONFIRMED, target_state="bad"), "RAUC says slot B is bad"),
        (GOOD, replace(CONFIRMED, target_version="1"), "RAUC wrote 1, expected 2"),
        (PANIC, replace(RETURNED, server_words="gone"), "the server was told 'gone'"),
        (PANIC, replace(RETURNED, server_state="finished"), "says finished, expected error"),
        (PANIC, replace(RETURNED, booted="A"), "slot A is booted, expected the other one"),
        (PANIC, replace(RETURNED, target_state="good"), "is good, expected bad"),
        (PANIC, replace(RETURNED, trials=2), "2 trial boots, expected 3"),
        (PANIC, replace(RETURNED, panics=0), "0 kernel panics"),
        (FORGED, replace(REFUSED, target_unchanged=False), "slot A was written to"),
        (FORGED, replace(REFUSED, target_version="6"), "RAUC says it wrote 6"),
        (FORGED, replace(REFUSED, trials=1), "1 trial boots, expected none"),
    ],
)
def test_each_disagreement_is_found(chapter: Chapter, facts: Facts, sentence: str) -> None:
    assert any(sentence in found for found in contradictions(chapter, facts))


def test_the_story_ends_on_a_good_version() -> None:
    assert STORY[-1].ending is Ending.CONFIRMED
    assert {chapter.flaw for chapter in STORY} == set(Flaw)
    survivors = {chapter.survivor for chapter in STORY if not chapter.succeeds}
    assert survivors == {"2"}
