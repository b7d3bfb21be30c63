"""Which QEMU is taken, and whether KVM is."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from flipside_qemu import emulator, kvm
from flipside_qemu.cache import Cache
from flipside_qemu.emulator import Emulator
from flipside_qemu.errors import HostError
from flipside_qemu.machine import Accel, Machine
from models import qemu_program


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host whose programs and firmware are in a directory, and are there, and new enough."""
    firmware = tmp_path / "CODE.fd", tmp_path / "VARS.fd"
    for path in firmware:
        path.touch()
    monkeypatch.setattr(emulator, "_FIRMWARE", (("/no", "/no"), tuple(map(str, firmware))))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    install(tmp_path, "qemu-system-x86_64", qemu_program.VERSION)
    install(tmp_path, "qemu-img", "qemu-img version 10.0.13")
    return tmp_path


def install(host: Path, program: str, version: str) -> None:
    path = host / program
    path.write_text(f"#!/bin/sh\necho '{version}'\n")
    path.chmod(0o755)


def test_the_hosts_qemu_is_taken(host: Path) -> None:
    assert emulator.installed() == Emulator(
        command=(str(host / "qemu-system-x86_64"),),
        img=(str(host / "qemu-img"),),
        firmware=host / "CODE.fd",
        variables=host / "VARS.fd",
    )


def test_an_old_one_is_not(host: Path) -> None:
    install(host, "qemu-system-x86_64", "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)")
    assert emulator.installed() is None


@pytest.mark.parametrize("missing", ["qemu-system-x86_64", "qemu-img", "CODE.fd", "VARS.fd"])
def test_half_of_one_is_not(host: Path, missing: str) -> None:
    (host / missing).unlink()
    assert emulator.installed() is None


@pytest.mark.parametrize(
    ("said", "version"),
    [
        (qemu_program.VERSION, (10, 0)),
        ("QEMU emulator version 9.2.1\nCopyright", (9, 2)),
        ("something else", (0, 0)),
        ("", (0, 0)),
    ],
)
def test_versions(said: str, version: tuple[int, int]) -> None:
    assert emulator.parse_version(said) == version


def test_a_program_that_does_not_start_is_told() -> None:
    with pytest.raises(HostError, match="/nowhere/qemu does not start, expected QEMU"):
        emulator.version(("/nowhere/qemu",))


class TestKvm:
    @pytest.fixture
    def machine(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
        """A machine on a host with /dev/kvm."""
        disk, variables = tmp_path / "disk.raw", tmp_path / "VARS.fd"
        disk.write_text(json.dumps({"slot": "A"}))
        variables.touch()
        device = tmp_path / "kvm"
        device.touch()
        monkeypatch.setattr(kvm, "_DEVICE", device)
        return Machine(disk=disk, variables=variables)

    @pytest.fixture
    def qemu(self) -> Emulator:
        command = (sys.executable, "-I", "-S", qemu_program.__file__)
        return Emulator(command, qemu_program.IMG, Path("CODE.fd"), Path("VARS.fd"))

    @pytest.fixture
    def said(self) -> list[str]:
        return []

    @pytest.fixture
    def cache(self, tmp_path: Path, said: list[str]) -> Cache:
        return Cache(tmp_path / "cache", said.append)

    def test_is_used_if_it_boots_and_tried_once(
        self, machine: Machine, qemu: Emulator, cache: Cache, said: list[str]
    ) -> None:
        assert kvm.accelerated(machine, qemu, cache).accel is Accel.KVM
        assert kvm.accelerated(machine, qemu, cache).accel is Accel.KVM
        assert said.count("trying whether KVM works here") == 1

    def test_is_not_used_if_qemu_dies_of_it(
        self, machine: Machine, qemu: Emulator, cache: Cache
    ) -> None:
        dies = Emulator(("false",), qemu.img, qemu.firmware, qemu.variables)
        assert kvm.accelerated(machine, dies, cache).accel is Accel.TCG

    def test_is_not_used_if_the_machine_stops(
        self, machine: Machine, qemu: Emulator, cache: Cache
    ) -> None:
        machine.disk.write_text(json.dumps({"slot": "A", "status": "internal-error"}))
        assert kvm.accelerated(machine, qemu, cache).accel is Accel.TCG

    def test_is_not_tried_without_its_device(
        self,
        machine: Machine,
        qemu: Emulator,
        cache: Cache,
        said: list[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(kvm, "_DEVICE", Path("/nowhere"))
        assert not kvm.works(machine, qemu, cache)
        assert said == []
