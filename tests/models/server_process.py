"""The command ``flipside-server`` as a process of its own."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flipside_server

_MAIN = "import sys; from flipside_server.cli import main; sys.exit(main())"


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-c", _MAIN, *map(str, arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(flipside_server.__file__).parent.parent)}


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, check=False, env=environment()
    )


@dataclass
class Serving:
    """A server process and how to talk to it."""

    process: subprocess.Popen[str]
    port: int
    said: list[str]
    listener: threading.Thread

    def open(self, token: str, path: str = "", body: Any = None) -> http.client.HTTPResponse:
        """Begin a request of the device pi-1; the caller reads the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        headers = {"Authorization": f"TargetToken {token}"}
        payload = None if body is None else json.dumps(body)
        method = "POST" if body else "GET"
        connection.request(method, f"/DEFAULT/controller/v1/pi-1{path}", payload, headers)
        return connection.getresponse()

    def ask(self, token: str, path: str = "", body: Any = None) -> tuple[int, bytes]:
        response = self.open(token, path, body)
        return response.status, response.read()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> str:
        """End the process; everything it said."""
        self.process.send_signal(how)
        self.process.wait()
        self.listener.join()
        return "".join(self.said)


@contextmanager
def serving(data: Path, *options: str) -> Iterator[Serving]:
    arguments = command("serve", "--data", data, "--listen", "127.0.0.1:0", *options)
    with subprocess.Popen(
        arguments, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        said = _said_until_ready(process)
        listener = threading.Thread(target=_listen, args=(process, said))
        listener.start()
        found = re.search(r":(\d+), data in", said[-1]) if said else None
        try:
            assert found, said
            yield Serving(process, int(found[1]), said, listener)
        finally:
            process.terminate()
            process.wait()
            listener.join()


def _said_until_ready(process: subprocess.Popen[str]) -> list[str]:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if "serving devices on" in line:
            break
    return said


def _listen(process: subprocess.Popen[str], said: list[str]) -> None:
    """Take in all the server says: nobody's log may fill the pipe and stop it."""
    assert process.stderr is not None
    said.extend(process.stderr)
