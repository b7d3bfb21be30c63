"""What the idle agent costs a device: memory and processor time, beside a bare interpreter.

    python bench/idle_agent.py [SECONDS]

One virtual device, polling its server every five minutes as it would in the field.
PSS is of the agent's process; the measure is `python3 -I -c 'import asyncio'`, asleep, there.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from pathlib import Path

from flipside_qemu import device, emulator, workbench, workshop
from flipside_qemu.device import Device
from flipside_qemu.machine import Machine
from flipside_qemu.theatre import provision
from flipside_qemu.update_server import UpdateServer, free_port
from flipside_qemu.workshop import TARGET

SLEEPER = "python3 -I -c 'import asyncio, time; time.sleep(100000)' > /dev/null 2>&1 & echo $!"
"""A bare interpreter to compare with: it outlives the measurement, and ends with the device."""


def main(seconds: int) -> None:
    """Measure and print."""
    bench = workbench.equip(print)
    shop = workshop.equip(bench)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        server = UpdateServer(place / "server", free_port(), poll="00:05:00")
        server.start()
        disk = shop.disk("1", place / "disk", provision(server))
        machine = Machine(disk.image, disk.variables, serial=TARGET)
        with device.fresh(machine, emulator.find(bench.cache), place / "device") as unit:
            unit.boot()
            _measure(unit, seconds)
        server.stop()


def _measure(unit: Device, seconds: int) -> None:
    agent = unit.shell.check("systemctl show --value -p MainPID flipside-agent").strip()
    sleeper = unit.shell.check(SLEEPER).split()[-1]
    time.sleep(60)  # what follows the boot is over: confirmation, attributes, the first poll
    before = _ticks(unit, agent)
    time.sleep(seconds)  # the length of the measurement
    used = (_ticks(unit, agent) - before) / 100
    pss, bare = _pss(unit, agent), _pss(unit, sleeper)
    print(
        f"PSS   {pss / 1024:.1f} MiB, asyncio alone {bare / 1024:.1f} MiB, ratio {pss / bare:.2f}"
    )
    print(f"CPU   {used:.2f} s in {seconds} s, {used * 3600 / seconds:.0f} s an hour (emulated)")


def _pss(unit: Device, pid: str) -> int:
    """KiB."""
    text = unit.shell.check(f"cat /proc/{pid}/smaps_rollup")
    found = re.search(r"^Pss: +(\d+) kB", text, re.MULTILINE)
    assert found
    return int(found[1])


def _ticks(unit: Device, pid: str) -> int:
    fields = unit.shell.check(f"cat /proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
