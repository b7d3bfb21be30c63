"""A virtual device, as a strategy: say where it shall be, and it finds the way there."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self, assert_never

from flipside_qemu import overlay, process
from flipside_qemu.console import BOOT, Console
from flipside_qemu.deadline import Deadline, Within
from flipside_qemu.emulator import Emulator
from flipside_qemu.errors import EmulatorError, GuestError, PowerError, ShellLostError
from flipside_qemu.hardware import Hardware
from flipside_qemu.machine import DISK_NODE, NIC, VARS_NODE, Machine, argv
from flipside_qemu.process import Process
from flipside_qemu.qmp import Qmp


@dataclass(frozen=True, slots=True)
class Off:
    """Where a device has no power."""


@dataclass(frozen=True, slots=True)
class Shell:
    """Where a device answers at a shell."""

    slot: str = ""
    """Bootname of the slot that it must have booted; empty for any."""


Place = Off | Shell
"""Where a device can be brought to."""


@dataclass(frozen=True, slots=True)
class _Power:
    """What a device has only while it has power."""

    process: Process
    qmp: Qmp


class Device:
    """A device to be switched on, talked to, cut off, reset, and put back in time.

    ``with Device(...) as device`` leaves no process behind.
    """

    def __init__(self, machine: Machine, emulator: Emulator, log: Path, shell: Console) -> None:
        """`log` takes what QEMU itself says; the console has a log of its own."""
        self._machine = machine
        self._emulator = emulator
        self._log = log
        self._power: _Power | None = None
        self._used = 0.0
        self.shell = shell

    # Power

    def power_on(self) -> None:
        """Switch it on, if it is off. It boots; nobody waits for it."""
        if not self.has_power():
            self.shell.raise_failure()
            self.shell.note("power on")
            self._start(paused=False)

    def power_cut(self) -> None:
        """Take its power away in the middle of whatever it does: QEMU is killed.

        Its caches are lost, as a disk's own would be: qcow2 keeps what was not flushed in memory.
        """
        if self._power is not None:
            self._used += self._power.process.end()
            self._power.qmp.close()
            self._power = None
            self.shell.detach()
            self.shell.note("power off")

    def shut_down(self, within: Within = 120) -> None:
        """Have it shut itself down in order, if it is on."""
        if not self.has_power():
            return
        deadline = self.shell.deadline(within)
        with contextlib.suppress(ShellLostError, PowerError):
            self.shell.run("poweroff", deadline)
        if not self._powered().process.wait(deadline.left()):
            raise GuestError(f"the device has not shut down within {deadline.seconds:.0f} s")
        self.power_cut()

    def reset(self) -> None:
        """Press its reset button."""
        # Held still first, or the old shell's last prompt may be taken for the new one's first.
        self.qmp.execute("stop")
        self.shell.note("reset")
        self.shell.lose_shell("the reset button")
        self.qmp.execute("system_reset")
        self.qmp.execute("cont")

    def has_power(self) -> bool:
        """Whether it is on: switched on, and not shut down by itself since."""
        if self._power is not None and not self.shell.is_connected():
            # Its lines close a moment before QEMU ends.
            self._power.process.wait(10)
            self.power_cut()
        return self._power is not None

    # Places

    def bring_to(self, place: Place, within: Within = BOOT) -> None:
        """Bring it where it shall be, from wherever it is."""
        deadline = self.shell.deadline(within)
        match place:
            case Off():
                self.shut_down(deadline)
            case Shell(slot=slot):
                self.boot(deadline)
                if slot and self.booted_slot() != slot:
                    self._change_slot(slot, deadline)
            case _:
                assert_never(place)

    def boot(self, within: Within = BOOT) -> None:
        """Switch it on if it is off, and wait for a shell and for the end of the boot."""
        self.power_on()
        self._settle(self.shell.deadline(within))

    def reboot(self, within: Within = BOOT) -> None:
        """Have it reboot in order, and wait as :meth:`boot` does."""
        deadline = self.shell.deadline(within)
        with contextlib.suppress(ShellLostError):
            self.shell.run("reboot", deadline)
        self.await_boot(deadline)

    def await_boot(self, within: Within = BOOT) -> None:
        """Wait until it has rebooted by itself, and then as :meth:`boot` does."""
        deadline = self.shell.deadline(within)
        self.shell.wait_for_reboot(deadline)
        self._settle(deadline)

    def booted_slot(self) -> str:
        """The bootname of the slot that it runs from, as the boot loader has told the kernel."""
        line = self.shell.check("cat /proc/cmdline")
        found = re.search(r"\brauc\.slot=(\S+)", line)
        if found is None:
            raise GuestError(f"the device's kernel command line names no rauc.slot: {line}")
        return found[1]

    # Time

    def snapshot(self, name: str) -> None:
        """Keep this moment, memory and disks, inside its private disk. It needs a shell."""
        self.shell.login()
        self._snapshot_job("save", name)

    def restore(self, name: str) -> None:
        """Go back to a kept moment, also from without power; only its clock stays with ours."""
        if not self.has_power():
            self._start(paused=True)
        self.shell.note(f"back to snapshot {name}")
        self._snapshot_job("load", name)
        self.qmp.execute("cont")
        self.shell.regain_shell()
        # A guest that lives in the past finds certificates that are not valid yet.
        self.shell.check(f"date -s @{time.time():.0f}")

    def cpu_seconds(self) -> float:
        """CPU time that it has cost the host since it was made, over all its boots."""
        running = self._power.process.cpu_seconds() if self._power else 0.0
        return self._used + running

    # Surroundings

    def link(self, *, up: bool) -> None:
        """Plug the network cable in or out. The guest sees the carrier go."""
        self.qmp.execute("set_link", name=NIC, up=up)
        self.shell.note(f"network cable {'in' if up else 'out'}")

    def last_words(self) -> str:
        """What QEMU itself has said, which is nothing as long as all is well."""
        return self._log.read_text(errors="replace").strip() if self._log.exists() else ""

    @property
    def qmp(self) -> Qmp:
        """The monitor of the machine: its events, and all that has no verb here."""
        return self._powered().qmp

    @property
    def hardware(self) -> Hardware:
        """What it is built of."""
        return self._machine.hardware

    @property
    def pid(self) -> int:
        """The id of the QEMU process."""
        return self._powered().process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.power_cut()

    # What the above is made of

    def _start(self, *, paused: bool) -> None:
        (console, its_console), (monitor, its_monitor) = socket.socketpair(), socket.socketpair()
        with its_console, its_monitor:
            ends = its_console.fileno(), its_monitor.fileno()
            command = argv(
                self._machine, self._emulator, console=ends[0], monitor=ends[1], paused=paused
            )
            running = process.start(command, self._log, ends)
        self._power = _Power(running, Qmp(monitor))
        self.shell.attach(console.detach())
        try:
            self._power.qmp.greet()
        except EmulatorError as error:
            self.power_cut()
            words = self.last_words().splitlines() or ["nothing"]
            raise EmulatorError(f"QEMU did not start, it said: {words[-1]}") from error

    def _settle(self, deadline: Deadline) -> None:
        """Wait for a shell, and until everything that starts at boot has started or failed."""
        self.shell.login(deadline)
        # Without systemd there is nothing to ask, and with failed units it ends with a code: both
        # are for the test to judge.
        self.shell.run("systemctl is-system-running --wait", deadline)

    def _powered(self) -> _Power:
        if self._power is None:
            raise PowerError("its monitor")
        return self._power

    def _change_slot(self, slot: str, deadline: Deadline) -> None:
        self.shell.check("rauc status mark-active other", deadline)
        self.reboot(deadline)
        booted = self.booted_slot()
        if booted != slot:
            raise GuestError(
                f"the device booted slot {booted}, expected {slot}: is a system installed there?"
            )

    def _snapshot_job(self, verb: str, name: str) -> None:
        disks = [DISK_NODE] if self._machine.variables is None else [DISK_NODE, VARS_NODE]
        self.qmp.run_job(
            f"snapshot-{verb}", f"{verb}-{name}", tag=name, vmstate=DISK_NODE, devices=disks
        )


def fresh(
    machine: Machine,
    emulator: Emulator,
    directory: Path,
    *,
    patience: float = 1.0,
    hear: Callable[[str], None] | None = None,
) -> Device:
    """A device as the machine says, off, with disks of its own over the machine's.

    The directory gets the disks and the logs: ``console.log`` and ``qemu.log``.
    `patience` stretches deadlines, for a slow or busy host; `hear` is told each console line.
    """
    directory.mkdir(parents=True, exist_ok=True)
    mine = overlay.private(machine, directory, emulator.img)
    console = Console(directory / "console.log", patience=patience, hear=hear)
    return Device(mine, emulator, directory / "qemu.log", console)
