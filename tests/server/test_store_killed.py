"""A server killed at random moments under load: what it acknowledged is there, and it opens."""

from __future__ import annotations

import http.client
import json
import random
import signal
import threading
from pathlib import Path

import pytest

from models.server_process import Serving, run, serving

SEED = 500
DEVICES = 6


class Load:
    """Devices that report without end, and remember what was answered with 200."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self.acknowledged: dict[int, int] = {}
        """Of each device, the number of the last attribute that the server took."""
        self._turn = dict.fromkeys(range(len(tokens)), 0)

    def run(self, server: Serving, device: int, enough: threading.Event) -> None:
        """Send until the connection breaks off."""
        try:
            while True:
                self._turn[device] += 1
                if self._send(server, device, self._turn[device]) == 200:
                    self.acknowledged[device] = self._turn[device]
                    if self._turn[device] > 3:
                        enough.set()
        except (OSError, http.client.HTTPException):
            enough.set()

    def _send(self, server: Serving, device: int, turn: int) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        body = json.dumps({"data": {"turn": str(turn), "pad": "x" * (turn * 37 % 120 + 1)}})
        headers = {"Authorization": f"TargetToken {self._tokens[device]}"}
        path = f"/DEFAULT/controller/v1/pi-{device}/configData"
        connection.request("PUT", path, body, headers)
        return connection.getresponse().status


def shown(data: Path) -> dict[int, int]:
    done = run("show", "targets", "--json", "--data", data)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    return {
        int(one["target"].removeprefix("pi-")): int(one["attributes"].get("turn", 0))
        for one in json.loads(done.stdout)["targets"]
    }


@pytest.mark.parametrize("kills", [3, pytest.param(500, marks=[pytest.mark.slow])])
@pytest.mark.timeout(3600)
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, kills: int) -> None:
    chance = random.Random(SEED)
    data = tmp_path / "data"
    tokens = []
    for device in range(DEVICES):
        tokens.append(run("target", "add", f"pi-{device}", "--data", data).stdout.strip())
    load = Load(tokens)
    for kill in range(kills):
        with serving(data) as server:
            enough = threading.Event()
            threads = [
                threading.Thread(target=load.run, args=(server, device, enough))
                for device in range(DEVICES)
            ]
            for thread in threads:
                thread.start()
            # The moment is a matter of chance, whatever the machine is doing.
            enough.wait()
            threading.Event().wait(chance.random() * 0.05)
            server.stop(signal.SIGKILL)
            for thread in threads:
                thread.join()
        found = shown(data)
        lost = {one: turn for one, turn in load.acknowledged.items() if found[one] < turn}
        assert not lost, f"kill {kill} of seed {SEED}: {lost}, found {found}"
    done = run("audit", "verify", "--data", data)
    assert done.returncode == 0, done.stderr
