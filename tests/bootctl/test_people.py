"""The verbs that people type, on a machine whose RAUC is the real one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flipside_bootctl import cli, grubenv
from flipside_bootctl.grub_counted import GrubCounted
from models.efi_firmware import Firmware
from models.rauc_machine import RaucMachine

Start = Callable[[str], RaucMachine]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a machine that runs from slot A, by what its system.conf says of the boot loader."""
    GrubCounted(tmp_path / "efi").create("A")
    (tmp_path / "efi/flipside/grub.cfg").write_text("")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text("rauc.slot=A\n")
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    machines: list[RaucMachine] = []

    def start(loader: str) -> RaucMachine:
        machine = RaucMachine(tmp_path, loader)
        machines.append(machine)
        for name, value in machine.environment.items():
            monkeypatch.setenv(name, value)
        machine.power_on()
        return machine

    yield start
    for machine in machines:
        machine.power_off()


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(words)
    out, err = capsys.readouterr()
    return code, out, err


def seen(capsys: pytest.CaptureFixture[str]) -> tuple[str, dict[str, str]]:
    """Our view in RAUC's words."""
    primary = run(capsys, "get-primary")[1].strip()
    return primary, {name: run(capsys, "get-state", name)[1].strip() for name in "AB"}


def test_rauc_writes_and_calls_us_back(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    machine = start("bootloader=custom")
    assert run(capsys, "mark-active", "B") == (0, "", "")
    assert run(capsys, "mark-bad", "B") == (0, "", "")
    assert run(capsys, "mark-good", "A") == (0, "", "")
    changes = [call for call in machine.calls if call.startswith("set-")]
    assert changes == ["set-primary B", "set-state B bad", "set-state A good"]
    assert (machine.root / "run/flipside/confirmed").exists()
    assert machine.status() == seen(capsys) == ("A", {"A": "good", "B": "bad"})


def test_rauc_refuses_in_one_sentence(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    machine = start("bootloader=custom")
    code, _, err = run(capsys, "mark-good", "C")
    assert (code, err.count("\n")) == (1, 1)
    assert "'C' is not a slot of RAUC's system.conf, expected A or B" in err
    machine.power_off()
    code, _, err = run(capsys, "mark-good", "A")
    assert (code, err.count("\n")) == (1, 1)
    assert "--force writes without RAUC" in err


def test_force_writes_without_rauc(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    machine = start("bootloader=custom")
    machine.power_off()
    assert run(capsys, "mark-active", "B", "--force") == (0, "", "")
    assert run(capsys, "get-primary") == (0, "B\n", "")
    assert machine.calls == []


def test_a_rauc_that_is_not_installed_is_told(
    start: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start("bootloader=custom")
    monkeypatch.setenv("PATH", os.devnull)
    code, _, err = run(capsys, "mark-good", "A")
    assert code == 1
    assert "rauc: " in err


def test_a_rauc_that_drives_no_boot_loader_is_not_asked(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = start("bootloader=noop")
    assert run(capsys, "mark-active", "B") == (0, "", "")
    assert (run(capsys, "get-primary")[1], machine.calls) == ("B\n", [])


@pytest.mark.skipif(not shutil.which("efibootmgr"), reason="efibootmgr is missing")
def test_raucs_own_efi_backend_and_we_see_the_same(
    start: Start, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    firmware = Firmware(tmp_path)
    for number, label in ((7, "PXE"), (1, "A"), (2, "B")):
        firmware.enter(number, label)
    firmware.order(1, 7)
    firmware.boot()
    machine = start("bootloader=efi")
    assert machine.status() == seen(capsys) == ("A", {"A": "good", "B": "bad"})
    assert run(capsys, "mark-active", "B") == (0, "", "")
    assert machine.status()[0] == seen(capsys)[0] == "B"
    firmware.boot()
    machine.rauc("status", "mark-good", "rootfs.1")
    assert machine.status() == seen(capsys) == ("B", {"A": "good", "B": "good"})
    facts = json.loads(run(capsys, "status", "--json")[1])
    assert (facts["scheme"], facts["damage"]) == ("efi", "")
    assert facts["overlooked"] == ["efi/flipside/grub.cfg"]


@pytest.mark.skipif(not shutil.which("grub-editenv"), reason="grub-editenv is missing")
def test_raucs_own_grub_backend_and_we_see_the_same(
    start: Start, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "grubenv"
    fresh = {"ORDER": "A B", "A_OK": "1", "A_TRY": "0", "B_OK": "0", "B_TRY": "0"}
    file.write_bytes(grubenv.encode(fresh))
    machine = start(f"bootloader=grub\ngrubenv={file}")
    config = tmp_path / "etc/rauc/system.conf"
    config.write_text(config.read_text().replace(f"grubenv={tmp_path}", "grubenv="))
    assert machine.status() == seen(capsys) == ("A", {"A": "good", "B": "bad"})
    for words in (("mark-active", "B"), ("mark-bad", "B"), ("mark-good", "B"), ("mark-bad", "A")):
        assert run(capsys, *words) == (0, "", "")
        theirs = grubenv.decode(file.read_bytes())
        assert machine.status() == seen(capsys)
        assert run(capsys, *words, "--force") == (0, "", "")
        ours = grubenv.decode(file.read_bytes())
        assert {**ours, "ORDER": ""} == {**theirs, "ORDER": ""}
        assert machine.status() == seen(capsys)
