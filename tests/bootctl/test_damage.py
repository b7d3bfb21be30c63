"""Whatever is damaged in whatever way is refused in a sentence or understood, by every parser."""

from __future__ import annotations

import pytest

from models import damage, parsers
from models.parsers import PARSERS


@pytest.mark.parametrize("name", PARSERS)
def test_no_damage_is_a_traceback(name: str) -> None:
    parser = PARSERS[name]
    for kind, data in damage.corpus(parser.sample):
        try:
            parsers.attempt(parser, data)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is what is looked for
            pytest.fail(f"{kind}: {error!r} for {data!r}")


@pytest.mark.parametrize("name", PARSERS)
def test_what_is_damaged_was_good(name: str) -> None:
    PARSERS[name].attempt(PARSERS[name].sample)
