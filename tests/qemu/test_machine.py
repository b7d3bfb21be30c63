"""The command line of a virtual device, by value."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from flipside_qemu.emulator import Emulator
from flipside_qemu.hardware import VIRT
from flipside_qemu.machine import Accel, Forward, Machine, argv

EMULATOR = Emulator(
    command=("/t/ld.so", "/t/qemu-system-x86_64"),
    img=("/t/qemu-img",),
    firmware=Path("/t/CODE.fd"),
    variables=Path("/t/VARS.fd"),
    data=(Path("/t/share/qemu"), Path("/t/share/seabios")),
)
MACHINE = Machine(disk=Path("/d/disk.qcow2"), variables=Path("/d/vars.fd"))


def options(line: list[str], name: str) -> list[str]:
    """All values of an option."""
    return [line[place + 1] for place, word in enumerate(line) if word == name]


def nodes(line: list[str]) -> dict[str, dict[str, object]]:
    return {node["node-name"]: node for node in map(json.loads, options(line, "-blockdev"))}


def test_the_whole_line() -> None:
    assert argv(MACHINE, EMULATOR, console=5, monitor=6) == [
        *("/t/ld.so", "/t/qemu-system-x86_64", "-L", "/t/share/qemu", "-L", "/t/share/seabios"),
        *("-no-user-config", "-nodefaults", "-display", "none"),
        *("-machine", "pc,pflash0=code,pflash1=vars"),
        *("-accel", "tcg", "-cpu", "qemu64,-svm", "-smp", "1", "-m", "512", "-rtc", "base=utc"),
        *("-uuid", "f11b51de-0000-4000-8000-0000000000d1"),
        "-blockdev",
        '{"node-name": "code", "driver": "raw", "read-only": true,'
        ' "file": {"driver": "file", "filename": "/t/CODE.fd"}}',
        "-blockdev",
        '{"node-name": "vars", "driver": "raw", "read-only": false,'
        ' "file": {"driver": "file", "filename": "/d/vars.fd"}}',
        "-blockdev",
        '{"node-name": "disk", "driver": "qcow2", "read-only": false,'
        ' "file": {"driver": "file", "filename": "/d/disk.qcow2"}}',
        *("-device", "virtio-blk-pci,id=hd,drive=disk,bootindex=1"),
        *("-netdev", "user,id=net"),
        *("-device", "virtio-net-pci,id=nic,netdev=net,mac=52:54:00:12:34:56,romfile="),
        *("-chardev", "socket,id=console,fd=5", "-serial", "chardev:console"),
        *("-chardev", "socket,id=monitor,fd=6", "-mon", "chardev=monitor,mode=control"),
        *("-device", "virtio-rng-pci"),
        *("-device", "i6300esb", "-action", "watchdog=reset"),
    ]


def test_the_line_of_an_arm64_machine_with_uboot() -> None:
    uboot = Emulator(("/t/qemu-system-aarch64",), ("/t/qemu-img",), Path("/t/u-boot.bin"), None)
    machine = Machine(Path("/d/disk.qcow2"), None, VIRT, uuid="12-34")
    line = argv(machine, uboot, console=5)
    assert options(line, "-machine") + options(line, "-bios") == ["virt", "/t/u-boot.bin"]
    assert list(nodes(line)) == ["disk"]
    assert options(line, "-device")[0] == "virtio-blk-device,id=hd,drive=disk,bootindex=1"
    # Its firmware tells the kernel nothing of the uuid, so systemd is told by QEMU.
    credential = "name=opt/io.systemd.credentials/system.machine_id,string=1234"
    assert options(line, "-fw_cfg") == [credential]
    assert "watchdog=reset" not in line


def test_the_same_machine_makes_the_same_line() -> None:
    assert argv(MACHINE, EMULATOR, console=5) == argv(replace(MACHINE), EMULATOR, console=5)


def test_kvm_uses_the_hosts_processor() -> None:
    line = argv(replace(MACHINE, accel=Accel.KVM), EMULATOR, console=5)
    assert options(line, "-accel") + options(line, "-cpu") == ["kvm", "host"]


def test_a_named_cpu_is_taken() -> None:
    line = argv(replace(MACHINE, cpu="max"), EMULATOR, console=5)
    assert options(line, "-cpu") == ["max"]


def test_both_disks_of_a_machine_with_snapshots_are_qcow2() -> None:
    line = argv(replace(MACHINE, variables=Path("/d/vars.qcow2")), EMULATOR, console=5)
    assert [nodes(line)[name]["driver"] for name in ("vars", "disk")] == ["qcow2", "qcow2"]


def test_a_comma_in_a_path_is_part_of_the_path() -> None:
    machine = replace(MACHINE, disk=Path("/d/a,b.raw"))
    line = argv(machine, EMULATOR, console=Path("/run/a,b"), monitor=None)
    assert nodes(line)["disk"]["file"] == {"driver": "file", "filename": "/d/a,b.raw"}
    assert options(line, "-chardev") == ["socket,id=console,path=/run/a,,b,server=on,wait=off"]


def test_identity_is_what_dmi_shows() -> None:
    line = argv(replace(MACHINE, uuid="1-2", serial="S,1"), EMULATOR, console=5)
    assert options(line, "-uuid") + options(line, "-smbios") == ["1-2", "type=1,serial=S,,1"]


def test_forwards_listen_on_this_host_alone() -> None:
    line = argv(replace(MACHINE, forwards=(Forward(8022, 22),)), EMULATOR, console=5)
    assert options(line, "-netdev") == ["user,id=net,hostfwd=tcp:127.0.0.1:8022-:22"]


def test_a_machine_at_the_terminal_has_its_monitor_there_too() -> None:
    line = argv(MACHINE, EMULATOR, console=None)
    assert options(line, "-chardev") == ["stdio,id=console,mux=on,signal=off"]
    assert options(line, "-mon") == ["chardev=console,mode=readline"]


def test_without_a_watchdog_paused_and_with_more() -> None:
    machine = replace(MACHINE, watchdog=False, extra=("-device", "usb-tablet"))
    line = argv(machine, EMULATOR, console=5, paused=True)
    assert "i6300esb" not in line
    assert line[-3:] == ["-S", "-device", "usb-tablet"]


def test_a_recorded_disk_stands_below_its_recorder() -> None:
    line = argv(replace(MACHINE, write_log=Path("/d/writes.log")), EMULATOR, console=5)
    assert nodes(line)["disk"] == {
        "node-name": "disk",
        "driver": "blklogwrites",
        "file": {
            "driver": "qcow2",
            "read-only": False,
            "file": {"driver": "file", "filename": "/d/disk.qcow2"},
        },
        "log": {"driver": "file", "filename": "/d/writes.log"},
        "log-sector-size": 512,
        "log-super-update-interval": 1,
    }
