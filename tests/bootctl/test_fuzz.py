"""The chapter ``fuzz``: each parser for a minute, or for FLIPSIDE_FUZZ_SECONDS."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from models.parsers import PARSERS

SECONDS = int(os.environ.get("FLIPSIDE_FUZZ_SECONDS", "60"))
FUZZ = Path(__file__).with_name("fuzz.py")


@pytest.mark.slow
@pytest.mark.timeout(2 * SECONDS + 120)
@pytest.mark.skipif(not find_spec("atheris"), reason="atheris has no wheel for this machine")
@pytest.mark.parametrize("name", PARSERS)
def test_no_input_is_a_traceback(name: str, tmp_path: Path) -> None:
    command = [sys.executable, str(FUZZ), name, str(SECONDS)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
