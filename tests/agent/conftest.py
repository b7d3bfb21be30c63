"""Says at the end how many power cuts were tried."""

from __future__ import annotations

import pytest

from models.cuts import Tally

TRIED = pytest.StashKey[Tally]()


@pytest.fixture
def tried(request: pytest.FixtureRequest) -> Tally:
    """Everything that was tried so far; add to it."""
    return request.config.stash.setdefault(TRIED, Tally())


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the figure, if there is one."""
    tally = config.stash.get(TRIED, Tally())
    if tally.scenarios:
        told = f"power cuts: {tally.scenarios:,} scenarios, {tally.runs:,} different futures run"
        terminalreporter.write_line(told)
