"""goosebit, as a peer of the benchmark."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import venv
from pathlib import Path
from typing import Any

from bench.peer import Plan, Started, releases

from flipside_qemu import cache
from flipside_qemu.update_server import free_port

GOOSEBIT = "goosebit==0.2.12"


class Goosebit(Started):
    """goosebit from PyPI, in an environment of its own in the cache."""

    name = GOOSEBIT.replace("==", " ")

    def __init__(self, plan: Plan, folder: Path, certificate: Path | None = None) -> None:
        port = free_port()
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
        python = _environment()
        environment = {
            "GOOSEBIT_DB_URI": f"sqlite:///{folder / 'db.sqlite3'}",
            "GOOSEBIT_ARTIFACTS_DIR": str(folder / "artifacts"),
        }
        serve = ["-m", "uvicorn", "goosebit:app", "--host", "127.0.0.1", "--port", str(port)]
        quiet = ["--log-level", "warning", "--no-access-log"]
        if certificate is not None:
            quiet += ["--ssl-certfile", str(certificate), "--ssl-keyfile", str(certificate)]
        command = [str(python), *serve, *quiet]
        super().__init__(folder, port, command, environment, tls=certificate is not None)
        subprocess.run(
            [str(python), "-c", _FILL_GOOSEBIT],
            input=json.dumps(_filling(plan, folder)).encode(),
            cwd=folder,
            check=True,
            env={**os.environ, **environment},
        )

    def authorization(self, device: str) -> str:
        """None: it lets everybody in unless told otherwise, which is its cheapest way."""
        return ""

    def newcomer(self) -> str:
        """None."""
        return ""


def _filling(plan: Plan, folder: Path) -> dict[str, Any]:
    filled = []
    for version, size, devices in releases(plan):
        file = folder / f"fw-{version}.raucb"
        file.write_bytes(bytes(size))
        digest = hashlib.sha1(bytes(size), usedforsecurity=False).hexdigest()
        filled.append([version, file.as_uri(), size, digest, devices])
    return {"names": plan.names(), "releases": filled}


_FILL_GOOSEBIT = """
import asyncio, json, sys
from tortoise import Tortoise
from goosebit.db.config import TORTOISE_CONF
from goosebit.db.models import Device, Hardware, Software, UpdateModeEnum, UpdateStateEnum

async def fill(plan):
    await Tortoise.init(config=TORTOISE_CONF)
    await Tortoise.generate_schemas()
    hardware = await Hardware.create(model="default", revision="default")
    common = {"hardware": hardware, "sw_version": "0.0.1", "last_state": UpdateStateEnum.REGISTERED}
    wanted = {}
    for version, uri, size, digest, devices in plan["releases"]:
        software = await Software.create(uri=uri, size=size, hash=digest, version=version)
        await software.compatibility.add(hardware)
        wanted.update(dict.fromkeys(devices, software))
    await Device.bulk_create([
        Device(id=name, assigned_software=wanted.get(name), **common,
               update_mode=UpdateModeEnum.ASSIGNED if name in wanted else UpdateModeEnum.ROLLOUT)
        for name in plan["names"]
    ], batch_size=500)
    await Tortoise.close_connections()

asyncio.run(fill(json.load(sys.stdin)))
"""
"""Run by goosebit's own interpreter: its models are the one description of its database."""


def _environment() -> Path:
    """The interpreter of an environment with goosebit, made once."""
    folder = cache.default_directory() / GOOSEBIT.replace("==", "-")
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", GOOSEBIT]
        subprocess.run(install, check=True)
        (folder / "ready").touch()
    return python
