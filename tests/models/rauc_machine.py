"""The real RAUC with its service on a bus of its own, and a machine below a directory.

Its backend is the real ``flipside-bootctl``, which sees that directory.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from flipside_bootctl import cli
from models.message_bus import PrivateBus

_BACKEND = """\
#!{python} -I
import sys
sys.path.insert(0, {room!r})
from flipside_bootctl import cli
cli.ROOT = {root!r}
with open({calls!r}, "a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
sys.exit(cli.main())
"""
_SYSTEM = """\
[system]
compatible=machine
{loader}

[keyring]
path={root}/keyring.pem

[slot.rootfs.0]
device={root}/a.img
type=raw
bootname=A

[slot.rootfs.1]
device={root}/b.img
type=raw
bootname=B
"""
_HANDLERS = """
[handlers]
bootloader-custom-backend={root}/backend
"""
PATIENCE = 60
"""Seconds for the service to come up, on a busy host."""


class RaucMachine:
    """A machine whose RAUC was told these lines about its boot loader."""

    def __init__(self, root: Path, loader: str) -> None:
        if not shutil.which("rauc"):
            pytest.skip("rauc is not installed")
        self.root = root
        self._bus = PrivateBus(root, kind="system")
        self._calls = root / "calls"
        self._install(loader)
        self._service: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What lets a program find this RAUC and these variables of the firmware."""
        variables = f"{self.root}/sys/firmware/efi/efivars/"
        found = {"DBUS_SYSTEM_BUS_ADDRESS": self._bus.address, "EFIVARFS_PATH": variables}
        return {**os.environ, **found}

    @property
    def calls(self) -> list[str]:
        """What RAUC has called its backend with."""
        return self._calls.read_text().splitlines() if self._calls.exists() else []

    def power_on(self) -> None:
        """Start the bus and the service, and wait until it answers."""
        self._bus.power_on()
        command = ["rauc", "-c", str(self._config), "--override-boot-slot=A", "service"]
        self._service = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + PATIENCE
        while self._rauc("status").returncode:
            assert self._service.poll() is None, "rauc service has ended"
            assert time.monotonic() < deadline, "rauc service does not answer"
            time.sleep(0.1)
        self._calls.unlink(missing_ok=True)

    def power_off(self) -> None:
        """End both."""
        if self._service is not None:
            self._service.kill()
            self._service.wait()
        self._bus.power_off()

    def rauc(self, *words: str) -> None:
        """Let RAUC do something."""
        self._rauc(*words).check_returncode()

    def status(self) -> tuple[str, dict[str, str]]:
        """RAUC's own view: the primary slot, and good or bad for each."""
        found: dict[str, Any] = json.loads(self._rauc("status", "--output-format=json").stdout)
        slots = {name: slot for entry in found["slots"] for name, slot in entry.items()}
        states = {slot["bootname"]: slot["boot_status"] for slot in slots.values()}
        return slots[found["boot_primary"]]["bootname"], states

    def _rauc(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = ["rauc", *words]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False
        )

    @property
    def _config(self) -> Path:
        return self.root / "etc/rauc/system.conf"

    def _install(self, loader: str) -> None:
        for name in ("a.img", "b.img", "keyring.pem"):
            (self.root / name).write_bytes(b"")
        self._config.parent.mkdir(parents=True)
        handlers = _HANDLERS if loader == "bootloader=custom" else ""
        self._config.write_text((_SYSTEM + handlers).format(loader=loader, root=self.root))
        backend, room = self.root / "backend", str(Path(cli.__file__).parents[1])
        words = {"python": sys.executable, "room": room, "root": str(self.root)}
        backend.write_text(_BACKEND.format(**words, calls=str(self._calls)))
        backend.chmod(0o755)
