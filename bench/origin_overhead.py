"""What the agent's origin costs: the same bundle, installed directly and through it, in turns.

    python bench/origin_overhead.py [ROUNDS]

One virtual device, its own server on the host. Each round installs three times to the other slot:
RAUC streams the server's URL itself; RAUC streams from the agent's origin; RAUC reads a file.
Nothing is activated. Times are taken inside the device; CPU is everything that was not idle there.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path

from flipside_qemu import device, emulator, workbench, workshop
from flipside_qemu.device import Device
from flipside_qemu.machine import Machine
from flipside_qemu.theatre import provision
from flipside_qemu.update_server import UpdateServer, free_port
from flipside_qemu.workshop import NAME, TARGET

GUEST = Path(__file__).parent / "guest"
WAYS = ("direct", "origin", "file")
TRIES = 3


def main(rounds: int) -> None:
    """Measure, and print one line for each way and the ratios."""
    bench = workbench.equip(print)
    shop = workshop.equip(bench)
    bundle = shop.ship("2", {})
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        server = UpdateServer(place / "server", free_port())
        server.start()
        given = provision(server)
        disk = shop.disk("1", place / "disk", given)
        machine = Machine(disk.image, disk.variables, serial=TARGET)
        with device.fresh(machine, emulator.find(bench.cache), place / "device") as unit:
            unit.boot()
            unit.shell.wait_for("flipside: idle", within=300)
            unit.shell.check("systemctl stop flipside-agent")
            # It may still be marking the slot good for the agent, and then it installs nothing.
            unit.shell.check("until rauc status > /dev/null; do sleep 1; done")
            server.add_bundle(bundle.path, NAME, "2", {})
            server.assign(TARGET, NAME, "2")
            unit.shell.put("/tmp/install.py", (GUEST / "install.py").read_text())
            results = [_round(unit) for _ in range(rounds)]
        server.stop()
    _print(results)


def _round(unit: Device) -> dict[str, dict[str, float]]:
    return {way: _once(unit, f"python3 -I /tmp/install.py {way}") for way in WAYS}


def _once(unit: Device, command: str) -> dict[str, float]:
    """What one installation costs that succeeds; those that fail are told and not counted.

    Now and then "Failed to load dm table: Argument list too long" ends one, early and for a reason
    that is not known. RAUC's failures are the device's, and the agent would install again.
    """
    for _ in range(TRIES):
        done = unit.shell.run(command, 1200)
        if done.code == 0:
            cost: dict[str, float] = json.loads(done.output.splitlines()[-1])
            return cost
        print(f"failed, again: {command}: {done.output[:200]}", file=sys.stderr)
    raise SystemExit(f"{command} failed {TRIES} times, expected RAUC to install")


def _print(results: list[dict[str, dict[str, float]]]) -> None:
    median = {
        way: {key: statistics.median(one[way][key] for one in results) for key in ("wall", "cpu")}
        for way in WAYS
    }
    for way in WAYS:
        ratio = {key: median[way][key] / median["direct"][key] for key in ("wall", "cpu")}
        print(
            f"{way:7} wall {median[way]['wall']:6.1f} s  cpu {median[way]['cpu']:6.1f} s"
            f"   against direct: wall {ratio['wall']:.2f}, cpu {ratio['cpu']:.2f}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
