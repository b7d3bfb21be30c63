"""RAUC, asked to mark a slot: it notes that in its slot status, and writes the boot state."""

from __future__ import annotations

import subprocess

from flipside_bootctl.errors import RaucRefused

PATIENCE = 120
"""Seconds; on slow boards RAUC starts its service first."""


def mark(state: str, slot: str) -> None:
    """Mark a slot ``good``, ``bad`` or ``active``, by RAUC's name for it."""
    command = ["rauc", "status", f"mark-{state}", slot]
    advice = "expected RAUC to mark it; --force writes without RAUC"
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
    except OSError as error:
        raise RaucRefused(f"rauc: {error.strerror}, {advice}") from error
    except subprocess.TimeoutExpired as error:
        raise RaucRefused(f"rauc: no answer within {PATIENCE} s, {advice}") from error
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise RaucRefused(f"{' '.join(command)}: {said[-1] if said else 'failed'}, {advice}")
