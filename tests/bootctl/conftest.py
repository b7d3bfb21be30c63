from __future__ import annotations

import pytest


@pytest.fixture
def nobody_pulls_the_plug(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flushes of this machine's own disk are not waited for."""
    monkeypatch.setattr("os.fsync", lambda _: None)
