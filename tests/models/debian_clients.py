"""The stock clients of hawkBit's device protocol: Debian's own builds, unpacked and not installed.

Nothing of the host is changed by them; a machine without Debian's archive cannot have them, and
the tests that need them are skipped there with the reason.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from flipside_qemu import process, toolbox
from flipside_qemu.cache import Cache, default_directory
from flipside_qemu.errors import HostError
from flipside_qemu.process import Process
from flipside_qemu.toolbox import Toolbox

PACKAGES = {
    "bookworm": ("swupdate",),
    "trixie": ("swupdate",),
    # rauc-hawkbit-updater is in no suite before it.
    "forky": ("rauc-hawkbit-updater", "swupdate"),
}
PATIENCE = 120.0
"""Seconds within which a client does anything at all, on a machine that has other work."""

_OWN_RUN = 'mount -t tmpfs tmpfs /run && mkdir /run/swupdate && exec "$@"'


def unpacked(suite: str) -> Toolbox:
    """The clients that this suite of Debian has."""
    try:
        cache = Cache(default_directory(), print)
        return toolbox.fetch(cache, f"clients-{suite}", suite, PACKAGES[suite])
    except HostError as error:
        pytest.skip(f"the stock clients of Debian {suite} cannot be had here: {error}")


def with_own_run(command: Sequence[str]) -> list[str]:
    """The command with a ``/run`` of its own, where SWUpdate wants its sockets."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    namespace = ["unshare", *user, "--mount", "sh", "-c", _OWN_RUN, "sh"]
    tried = subprocess.run([*namespace, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no mount namespace can be had here: {tried.stderr.strip()}")
    return [*namespace, *command]


def restarted(command: Sequence[str]) -> list[str]:
    """The command, begun anew whenever it dies, as a unit with ``Restart=on-failure`` is."""
    return ["sh", "-c", 'until "$@"; do sleep 1; done', "sh", *command]


@dataclass(frozen=True)
class Client:
    """A client that runs, in a session of its own."""

    process: Process
    log: Path

    @property
    def said(self) -> str:
        """What it has said so far."""
        return self.log.read_text(errors="replace")

    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.process.runs()

    def ended(self) -> bool:
        """Wait until it ends by itself, and tell whether it did."""
        return self.process.wait(PATIENCE)

    def stop(self) -> None:
        """End it and whatever it started."""
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(10)
        # What it started may need longer; the group lives until its first member is buried.
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.end()


def start(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Client:
    """Start a client whose words go to the log."""
    given = [f"{name}={value}" for name, value in environment.items()]
    env = shutil.which("env")
    assert env, "env is part of every Linux"
    return Client(process.start([env, *given, *command], log), log)
