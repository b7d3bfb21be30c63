"""Runs the long tests, one chapter after the other, and remembers which are done.

    python tests/chapters.py [CHAPTER...]

A chapter is a test file with tests that are marked ``slow`` or ``qemu``, on one kind of device; its
name is the file's, without ``test_``, and for another device than the usual one that device's
behind it: ``update``, ``update@qemu-arm64``. What has passed on this very tree of files is not run
again, unless it is named.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flipside"
MARKED: Final = ("-m", "qemu or slow")
BOARDS: Final = (
    "qemu-x86_64",
    "qemu-arm64",
    "qemu-arm64-redundant",
    "qemu-x86_64-systemd-boot",
)
"""Kinds of devices, the usual one first."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """One test file on one tree of files."""

    name: str
    file: str
    board: str
    tree: str
    """Name of the tree; empty if it is not committed as it is, so that nothing is remembered."""

    @property
    def stamp(self) -> Path:
        """Exists once the chapter has passed; says what it cost."""
        return CACHE / "chapters" / f"{self.tree}-{self.name}"

    def passed_before(self) -> bool:
        """Whether it need not be run again."""
        return bool(self.tree) and self.stamp.exists()

    def run(self) -> bool:
        """Run it, tell what it cost, and remember if it passed."""
        started, used = time.monotonic(), _used()
        passed = (
            subprocess.run([*_pytest(self.board), self.file], cwd=ROOT, check=False).returncode == 0
        )
        wall, cpu = (time.monotonic() - started) / 60, (_used() - used) / 60
        cost = f"{wall:.1f} min, {cpu:.1f} min of CPU"
        _say(f"{self.name}: {'passed' if passed else 'FAILED'}, {cost}")
        if passed and self.tree:
            self.stamp.parent.mkdir(parents=True, exist_ok=True)
            self.stamp.write_text(cost)
        return passed


def main(wanted: list[str]) -> int:
    """Run what is wanted, or everything that has not passed yet; 1 if anything failed."""
    chapters = _chapters()
    unknown = sorted(set(wanted) - {chapter.name for chapter in chapters})
    if unknown:
        names = ", ".join(chapter.name for chapter in chapters)
        _say(f"there is no chapter {unknown[0]}, expected one of {names}")
        return 2
    failed = [chapter.name for chapter in chapters if not _holds(chapter, wanted)]
    if failed:
        _say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def _holds(chapter: Chapter, wanted: list[str]) -> bool:
    if wanted:
        return chapter.name not in wanted or chapter.run()
    if chapter.passed_before():
        _say(f"{chapter.name}: passed before, {chapter.stamp.read_text()}")
        return True
    return chapter.run()


def _chapters() -> list[Chapter]:
    """All of them, in pytest's order."""
    tree = (
        ""
        if _output("git", "status", "--porcelain")
        else _output("git", "rev-parse", "HEAD^{tree}")
    )
    return [
        Chapter(_name(file, board), file, board, tree[:16])
        for board in BOARDS
        for file in _files(board)
    ]


def _files(board: str) -> list[str]:
    """Those with tests for this device; what needs no device is run with the usual one."""
    where = "tests" if board == BOARDS[0] else "tests/qemu"
    listed = _output(*_pytest(board), "--collect-only", "-q", where)
    return list(dict.fromkeys(line.split("::")[0] for line in listed.splitlines() if "::" in line))


def _name(file: str, board: str) -> str:
    name = Path(file).stem.removeprefix("test_")
    return name if board == BOARDS[0] else f"{name}@{board}"


def _pytest(board: str) -> list[str]:
    return ["pytest", *MARKED, "--flipside-board", board]


def _output(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _used() -> float:
    """CPU seconds of everything that was run and has ended: tests, servers, devices."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _say(line: str) -> None:
    sys.stdout.write(f"chapter {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
