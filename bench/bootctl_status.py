"""What `flipside-bootctl status` costs a device, beside an interpreter that does nothing.

    python bench/bootctl_status.py [BOARD] [ROUNDS]

Both are run in turns on one virtual device: warm, and with the page cache dropped before each run.
Figures are medians: CPU seconds (emulated), and wall, which is only as good as the host is quiet.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median

from flipside_qemu import device, emulator, workbench, workshop
from flipside_qemu.board import BOARDS
from flipside_qemu.device import Device
from flipside_qemu.machine import Machine

COMMANDS = {"python": "python3 -I -c pass", "status": "flipside-bootctl status"}
WARM = "true"
COLD = "sync; echo 3 > /proc/sys/vm/drop_caches"
TIMED = "TIMEFORMAT='%U %S %R'; {before}; time {command} > /dev/null"


def main(board: str, rounds: int) -> None:
    """Measure and print."""
    bench = workbench.equip(print)
    shop = workshop.equip(bench, board=BOARDS[board])
    with tempfile.TemporaryDirectory() as name:
        disk = shop.disk("1", Path(name) / "disk", {})
        hardware = shop.board.hardware
        machine = Machine(disk.image, disk.variables, hardware)
        qemu = emulator.find(bench.cache, hardware)
        with device.fresh(machine, qemu, Path(name) / "device") as unit:
            unit.boot()
            for cache, before in (("warm", WARM), ("cold", COLD)):
                _tell(cache, _measured(unit, before, rounds))


def _measured(unit: Device, before: str, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """CPU and wall seconds of each run."""
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, command in COMMANDS.items():
            told = unit.shell.check(TIMED.format(before=before, command=command), within=60)
            user, system, wall = map(float, told.split()[-3:])
            runs[name].append((user + system, wall))
    return runs


def _tell(cache: str, runs: dict[str, list[tuple[float, float]]]) -> None:
    for number, measure in enumerate(("CPU", "wall")):
        bare, ours = (median(run[number] for run in runs[key]) for key in COMMANDS)
        print(f"{cache} {measure:4}  python {bare:.3f} s, status {ours:.3f} s: {ours / bare:.2f}")


if __name__ == "__main__":
    words = sys.argv[1:]
    main(words[0] if words else "qemu-x86_64", int(words[1]) if len(words) > 1 else 15)
