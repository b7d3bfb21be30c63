"""A real dbus-daemon of our own, with a power switch, for tests that need a message bus."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

OPEN_POLICY = """
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
  </policy>
"""

CONFIG = """<!DOCTYPE busconfig PUBLIC
 "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>{kind}</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  {policy}
</busconfig>
"""


class PrivateBus:
    """A dbus-daemon on a socket in a directory of the test's."""

    def __init__(
        self, directory: Path, *, policy: str = OPEN_POLICY, kind: str = "session"
    ) -> None:
        self._directory = directory
        self._config = CONFIG.format(kind=kind, socket=self.socket, policy=policy)
        self._daemon: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        """Where the daemon listens."""
        return self._directory / "bus"

    @property
    def address(self) -> str:
        """D-Bus address of the bus."""
        return f"unix:path={self.socket}"

    def power_on(self) -> None:
        """Start the daemon and return when it listens."""
        config = self._directory / "bus.conf"
        config.write_text(self._config)
        argv = [
            _program(),
            f"--config-file={config}",
            "--nofork",
            "--nopidfile",
            "--print-address=1",
        ]
        self._daemon = subprocess.Popen(argv, stdout=subprocess.PIPE)
        assert self._daemon.stdout is not None
        assert self._daemon.stdout.readline(), "dbus-daemon did not start"

    def power_off(self) -> None:
        """Kill the daemon; everybody's connection ends at once."""
        if self._daemon is None:
            return
        self._daemon.kill()
        self._daemon.communicate()
        self._daemon = None
        self.socket.unlink(missing_ok=True)

    def __enter__(self) -> PrivateBus:
        self.power_on()
        return self

    def __exit__(self, *_: object) -> None:
        self.power_off()


def _program() -> str:
    program = shutil.which("dbus-daemon")
    if program is None:
        pytest.skip("dbus-daemon is not installed (Debian: apt install dbus-daemon)")
    return program
