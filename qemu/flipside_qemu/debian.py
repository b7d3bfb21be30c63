"""Runs mmdebstrap: Debian packages in, one tar archive out, without root where that works."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from flipside_qemu import mirror, tree
from flipside_qemu.cache import Say
from flipside_qemu.errors import HostError

NO_DOCUMENTATION = [
    f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale", "info")
]
"""Options that leave out what no device needs."""


def bootstrap(  # noqa: PLR0913 - mmdebstrap's own arguments, by name
    target: Path,
    suite: str,
    packages: Sequence[str],
    *,
    options: Sequence[str],
    say: Say,
    architecture: str = "amd64",
    sources: bool = False,
) -> None:
    """Write a tar archive of a Debian suite with these packages to ``target``.

    With `sources`, hooks may run ``apt-get source``.
    """
    program = shutil.which("mmdebstrap")
    if program is None:
        raise HostError("mmdebstrap is not on PATH, expected it to be installed; run ./bootstrap")
    archive = mirror.of_this_machine()
    command = [
        program,
        f"--architectures={architecture}",
        "--format=tar",
        '--aptopt=Apt::Install-Recommends "false"',
        # Testing and unstable carry a date, which a mirror that stands still, such as a snapshot,
        # is past. Signatures are checked all the same.
        '--aptopt=Acquire::Check-Valid-Until "false"',
        *(f"--aptopt={setting}" for setting in mirror.apt_settings()),
        *options,
        f"--include={','.join(packages)}",
        suite,
        str(target),
        *([f"deb-src {archive} {suite} main"] if sources else []),
        archive,
    ]
    say(f"fetching {len(packages)} Debian packages and what they need from {archive} ({suite})")
    _run(command, say)


def _run(command: Sequence[str], say: Say) -> None:
    """Run mmdebstrap, telling each of its steps as it begins."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(tree.EPOCH), "LC_ALL": "C.UTF-8"}
    last = deque[str](maxlen=5)
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            last.append(line.rstrip())
            if line.startswith("I: ") and line.rstrip().endswith("..."):
                say(line[3:].rstrip())
    if process.returncode != 0:
        raise HostError(
            f"mmdebstrap ended with code {process.returncode}, expected a Debian root file system;"
            f" it said: {' / '.join(last)}"
        )
