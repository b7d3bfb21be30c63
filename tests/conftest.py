"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# No test measures wall time: a busy machine is no finding.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
