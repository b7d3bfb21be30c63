"""Coverage-guided fuzzing of one parser: ``python tests/bootctl/fuzz.py PARSER SECONDS``.

Ends with 0 if nothing was found; else atheris prints the bytes, and they are kept beside.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 2048
"""Bytes; no file of ours is longer."""


def main(name: str, seconds: str) -> None:
    """Try it for so long, beginning with the sample and its damage."""
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bootctl")]
    with atheris.instrument_imports(include=["flipside_bootctl"]):
        from models import damage, parsers
    parser = parsers.PARSERS[name]
    with tempfile.TemporaryDirectory() as corpus:
        for number, (_, data) in enumerate(damage.corpus(parser.sample)):
            Path(corpus, str(number)).write_bytes(data)
        limits = (f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=10")
        atheris.Setup(
            [sys.argv[0], *limits, "-print_final_stats=1", corpus],
            lambda data: parsers.attempt(parser, data),
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
