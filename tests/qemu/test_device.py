"""A device as a strategy, run on a model of QEMU: real processes, real shells, no boot."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from flipside_qemu import device as devices
from flipside_qemu.device import Device, Off, Shell
from flipside_qemu.emulator import Emulator
from flipside_qemu.errors import (
    DeadlineError,
    EmulatorError,
    GuestError,
    OperatorError,
    PowerError,
    ShellLostError,
)
from flipside_qemu.machine import Machine
from models import qemu_program

EMULATOR = Emulator(
    command=(sys.executable, "-I", "-S", qemu_program.__file__),
    img=qemu_program.IMG,
    firmware=Path("CODE.fd"),
    variables=Path("VARS.fd"),
)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with systems in both slots."""
    disk, variables = tmp_path / "base.raw", tmp_path / "VARS.fd"
    disk.write_text(json.dumps({"slot": "A", "b_installed": True, "snapshots": {}}))
    variables.write_bytes(b"variables")
    return Machine(disk=disk, variables=variables)


@pytest.fixture
def device(machine: Machine, tmp_path: Path) -> Iterator[Device]:
    with devices.fresh(machine, EMULATOR, tmp_path / "device") as device:
        yield device


def is_gone(pid: int) -> bool:
    """Whether a process ends within a while."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with os.fdopen(handle):
        return bool(select.select([handle], [], [], 10)[0])


class TestPower:
    def test_a_new_device_is_off(self, device: Device) -> None:
        assert not device.has_power()
        with pytest.raises(PowerError, match="is off"):
            device.shell.check("true")

    def test_boot_ends_at_a_shell(self, device: Device) -> None:
        device.boot()
        assert device.shell.check("echo hello") == "hello"

    def test_power_on_twice_is_power_on_once(self, device: Device) -> None:
        device.power_on()
        pid = device.pid
        device.power_on()
        assert device.pid == pid

    def test_a_power_cut_leaves_no_process_and_no_shell(self, device: Device) -> None:
        device.boot()
        pid = device.pid
        device.power_cut()
        assert not Path(f"/proc/{pid}").exists()
        with pytest.raises(PowerError):
            device.shell.check("true")

    def test_a_device_comes_back_after_a_power_cut(self, device: Device) -> None:
        device.boot()
        device.power_cut()
        device.boot()
        assert device.shell.test("true")

    def test_a_power_cut_in_the_middle_of_a_command_is_told(self, device: Device) -> None:
        device.boot()
        os.kill(device.pid, signal.SIGKILL)
        with pytest.raises(PowerError, match="the end of `sleep 60`"):
            device.shell.run("sleep 60")
        assert not device.has_power()

    def test_shut_down_waits_for_the_end(self, device: Device) -> None:
        device.boot()
        device.shut_down()
        assert not device.has_power()

    def test_a_device_that_shuts_itself_down_is_let_finish(
        self, device: Device, tmp_path: Path
    ) -> None:
        device.boot()
        with pytest.raises(ShellLostError):
            device.shell.run("poweroff")
        with pytest.raises(PowerError):
            device.shell.wait_for("never")
        assert not device.has_power()
        assert json.loads((tmp_path / "device/disk.qcow2").read_text())["flushed"]

    def test_reset_leads_to_another_shell(self, device: Device) -> None:
        device.boot()
        shell = device.shell.check("echo $$")
        device.reset()
        assert device.shell.check("echo $$") != shell
        assert device.qmp.wait_for("RESET").data == {"guest": False}

    def test_reboot_leads_to_another_shell(self, device: Device) -> None:
        device.boot()
        shell = device.shell.check("echo $$")
        device.reboot()
        assert device.shell.check("echo $$") != shell

    def test_a_reboot_of_its_own_can_be_waited_for(self, device: Device) -> None:
        device.boot()
        shell = device.shell.check("echo $$; (sleep 0.2; reboot) >/dev/null 2>&1 &")
        device.await_boot()
        assert device.shell.check("echo $$") != shell

    def test_a_reboot_in_a_command_is_told(self, device: Device) -> None:
        device.boot()
        with pytest.raises(ShellLostError, match="`reboot`"):
            device.shell.run("reboot")

    def test_cpu_seconds_add_up_over_boots(self, device: Device) -> None:
        device.boot()
        first = device.cpu_seconds()
        device.power_cut()
        assert device.cpu_seconds() >= first > 0
        device.boot()
        assert device.cpu_seconds() > first

    def test_fails_once(self, device: Device) -> None:
        device.boot()
        with pytest.raises(DeadlineError):
            device.shell.wait_for("never", within=0.05)
        device.power_cut()
        with pytest.raises(DeadlineError, match="never"):
            device.boot()
        assert not device.has_power()


class TestPlaces:
    def test_to_a_shell_from_without_power(self, device: Device) -> None:
        device.bring_to(Shell())
        assert device.booted_slot() == "A"

    def test_to_a_shell_on_the_other_slot(self, device: Device) -> None:
        device.bring_to(Shell("B"))
        assert device.booted_slot() == "B"
        device.bring_to(Shell("A"))
        assert device.booted_slot() == "A"

    def test_to_the_slot_where_it_is_without_a_boot(self, device: Device) -> None:
        device.bring_to(Shell("A"))
        shell = device.shell.check("echo $$")
        device.bring_to(Shell("A"))
        assert device.shell.check("echo $$") == shell

    def test_to_a_slot_without_a_system(self, machine: Machine, tmp_path: Path) -> None:
        machine.disk.write_text(json.dumps({"slot": "A", "b_installed": False}))
        with (
            devices.fresh(machine, EMULATOR, tmp_path / "device") as device,
            pytest.raises(GuestError, match="booted slot A, expected B"),
        ):
            device.bring_to(Shell("B"))

    def test_to_off(self, device: Device) -> None:
        device.bring_to(Shell())
        device.bring_to(Off())
        device.bring_to(Off())
        assert not device.has_power()


class TestTime:
    def test_back_to_a_snapshot(self, device: Device) -> None:
        device.bring_to(Shell("A"))
        device.snapshot("ready")
        device.bring_to(Shell("B"))
        device.restore("ready")
        assert device.booted_slot() == "A"

    def test_back_to_a_snapshot_from_without_power(self, device: Device) -> None:
        device.bring_to(Shell("B"))
        device.snapshot("ready")
        device.bring_to(Shell("A"))
        device.power_cut()
        device.restore("ready")
        assert device.booted_slot() == "B"

    def test_the_clock_is_set_after_it(self, device: Device, tmp_path: Path) -> None:
        device.bring_to(Shell())
        device.snapshot("ready")
        device.restore("ready")
        assert re.fullmatch(r"@\d{10}\n", (tmp_path / "device/disk.qcow2.clock").read_text())

    def test_to_a_snapshot_that_was_never_made(self, device: Device) -> None:
        device.bring_to(Shell())
        with pytest.raises(EmulatorError, match="'nothing' does not exist"):
            device.restore("nothing")


class TestSurroundings:
    def test_what_happened_to_its_power_is_in_the_log(self, device: Device, tmp_path: Path) -> None:
        device.boot()
        device.power_cut()
        log = (tmp_path / "device/console.log").read_text()
        assert log.index("= power on") < log.index("| Booting slot A") < log.index("= power off")

    def test_nothing_is_written_to_the_base(self, device: Device, machine: Machine) -> None:
        before = machine.disk.read_bytes()
        device.bring_to(Shell("B"))
        assert machine.disk.read_bytes() == before

    def test_a_base_that_is_not_there(self, machine: Machine, tmp_path: Path) -> None:
        machine.disk.unlink()
        with pytest.raises(OperatorError, match=r"base.raw does not exist, expected a disk image"):
            devices.fresh(machine, EMULATOR, tmp_path / "device")

    def test_a_qemu_that_does_not_start_says_why(self, device: Device, tmp_path: Path) -> None:
        (tmp_path / "device/disk.qcow2").unlink()
        with pytest.raises(EmulatorError, match=r"did not start, it said: .*Could not open"):
            device.power_on()
        assert not device.has_power()

    def test_a_qemu_that_is_not_there(self, machine: Machine, tmp_path: Path) -> None:
        emulator = Emulator(("/nowhere/qemu",), EMULATOR.img, Path("CODE.fd"), Path("VARS.fd"))
        with (
            devices.fresh(machine, emulator, tmp_path / "device") as device,
            pytest.raises(EmulatorError, match="/nowhere/qemu"),
        ):
            device.power_on()

    def test_no_device_outlives_a_killed_program(self, machine: Machine, tmp_path: Path) -> None:
        program = textwrap.dedent(f"""
            import sys, threading, time
            from pathlib import Path
            from flipside_qemu import device
            from flipside_qemu.emulator import Emulator
            from flipside_qemu.machine import Machine
            files = Path("CODE.fd"), Path("VARS.fd")
            emulator = Emulator({EMULATOR.command!r}, {EMULATOR.img!r}, *files)
            machine = Machine(Path({str(machine.disk)!r}), Path({str(machine.variables)!r}))
            mine = device.fresh(machine, emulator, Path({str(tmp_path / "device")!r}))
            # In a thread that ends: the device must outlive that.
            thread = threading.Thread(target=mine.boot)
            thread.start()
            thread.join()
            mine.shell.check("true")
            print(mine.pid, flush=True)
            time.sleep(60)
            """)
        with subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        ) as parent:
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            parent.kill()
        assert is_gone(pid)
