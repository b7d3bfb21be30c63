"""The OpenAPI document of the device protocol: it names every route, and a fuzzer believes it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flipside_qemu.cache import Cache, default_directory, key_of
from flipside_server.application import application
from models.server_process import Serving, run, serving

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "ddi.openapi.json"
SCHEMATHESIS = "schemathesis==4.32.5"
SECONDS = int(os.environ.get("FLIPSIDE_FUZZ_SECONDS") or 600)
ROUND = 40
"""Seconds of one round; each has new actions, because a fuzzer soon closes those that it meets."""
GATEWAY = "gateway-token-of-the-fuzzer"
GROWTH = 8 << 10
"""KiB by which the server may have grown in the rest of the time: what its log of records holds
more, and the allocator's."""
KNOWN: dict[str, list[object]] = {
    "ControllerId": ["pi-1", "newcomer"],
    "ModuleId": [1, 2],
    "FileName": ["fw.raucb", "other"],
}
"""What the server has, and one name each that it does not have."""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "ignored_auth",
)


def test_the_document_names_every_route_and_no_other() -> None:
    document: dict[str, Any] = json.loads(DOCUMENT.read_text())
    named = {
        (re.sub(r"{\w+}", "{}", path), method.upper())
        for path, methods in document["paths"].items()
        for method in methods.keys() - {"parameters", "head"}  # GET's route answers HEAD
    }
    routes = application(None).routes  # type: ignore[arg-type]  # no request, no desk
    assert named == {(re.sub(r"<\w+>", "{}", one.rule), one.method) for one in routes}


@pytest.mark.slow
@pytest.mark.timeout(SECONDS * 2 + 300)
def test_a_fuzzer_finds_no_error_no_hang_and_no_growth(tmp_path: Path) -> None:
    data = tmp_path / "data"
    _fill(data)
    fuzzer = Cache(default_directory(), print).entry("fuzzer", key_of(SCHEMATHESIS), 1, _install)
    with serving(data, "--config", str(tmp_path / "server.toml")) as server:
        _fuzz(fuzzer, data, server)
        before = _size(server)
        for _ in range(SECONDS // ROUND):
            _fuzz(fuzzer, data, server)
        after = _size(server)
        said = server.stop()
    assert "Traceback" not in said
    assert after[0] <= before[0] + GROWTH, "KiB"
    assert after[1] <= before[1], "open files"
    assert run("check", "--data", data).returncode == 0


def _fill(data: Path) -> None:
    file = data.parent / "fw.raucb"
    file.write_bytes(b"firmware" * 1000)
    _do("target", "add", "pi-1", "--data", data)
    _do("artifact", "add", file, "--name", "os", "--version", "1", "--data", data)
    settings = data.parent / "server.toml"
    settings.write_text(f'[devices]\ngateway_token = "{GATEWAY}"\n')
    settings.chmod(0o600)


def _narrowed(data: Path) -> Path:
    """The document with names that exist, so that a fuzzer gets further than the door."""
    actions = [
        int(_do("assign", "pi-1", "os:1", *how, "--data", data))
        for how in (("--confirm",), ("--soft",), ("--hold", "01:00:00"))
    ]
    document: dict[str, Any] = json.loads(DOCUMENT.read_text())
    parameters = document["components"]["parameters"]
    for name, known in {**KNOWN, "ActionId": [*actions, 10**6]}.items():
        parameters[name]["schema"] = {"enum": known}
    narrowed = data.parent / "ddi.json"
    narrowed.write_text(json.dumps(document))
    return narrowed


def _do(*arguments: str | Path) -> str:
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _install(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
    subprocess.run([*pip, SCHEMATHESIS], check=True)


def _fuzz(fuzzer: Path, data: Path, server: Serving) -> None:
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(_narrowed(data))]
    command += ["--url", f"http://127.0.0.1:{server.port}", "--checks", ",".join(CHECKS)]
    command += ["--header", f"Authorization:GatewayToken {GATEWAY}", "--max-time", str(ROUND)]
    command += ["--request-timeout", "10", "--phases", "coverage,fuzzing"]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(fuzzer)},
        cwd=data.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]


def _size(server: Serving) -> tuple[int, int]:
    """KiB of memory, and open files."""
    process = Path("/proc") / str(server.process.pid)
    found = re.search(r"^Pss: +(\d+) kB", (process / "smaps_rollup").read_text(), re.MULTILINE)
    assert found
    return int(found[1]), len(list((process / "fd").iterdir()))
