from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from flipside_bootctl import boot_order, cli, grubenv, uboot_env
from flipside_bootctl.grub_counted import GrubCounted
from flipside_bootctl.state import BAD, Slot
from flipside_bootctl.uboot_env import Copy
from models.efi_firmware import Firmware


def grub(root: Path) -> Path:
    """Equip a device with GRUB; the file with its boot state."""
    GrubCounted(root / "efi").create("A")
    (root / "efi/flipside/grub.cfg").write_text("")
    return root / "efi/flipside/boot.env"


def uboot(root: Path) -> Path:
    """Equip a device with U-Boot; the file with its environment."""
    fresh = boot_order.at_first().with_slot("A", Slot(9, confirmed=True)).with_slot("B", BAD)
    env = root / "boot.env"
    env.write_bytes(uboot_env.encode(Copy(boot_order.to_variables(fresh)), 1024))
    (root / "etc").mkdir()
    (root / "etc/fw_env.config").write_text("/boot.env 0 0x400\n")
    return env


def bootcount(root: Path) -> Path:
    """Equip a device whose U-Boot counts by itself."""
    variables = {"BOOT_ORDER": "A", "bootlimit": "3", "altbootcmd": "run other"}
    env = uboot(root)
    env.write_bytes(uboot_env.encode(Copy(variables), 1024))
    return env


def rauc(root: Path, loader: str) -> None:
    """Have RAUC drive this boot loader by itself."""
    slots = "[slot.rootfs.0]\nbootname=A\n[slot.rootfs.1]\nbootname=B\n"
    (root / "etc/rauc").mkdir(parents=True)
    (root / "etc/rauc/system.conf").write_text(f"[system]\nbootloader={loader}\n{slots}")


def stock_grub(root: Path) -> Path:
    """Equip a device with RAUC's own scheme for GRUB."""
    rauc(root, "grub\ngrubenv=/grubenv")
    variables = {"ORDER": "A B", "A_OK": "1", "A_TRY": "0", "B_OK": "0", "B_TRY": "0"}
    (root / "grubenv").write_bytes(grubenv.encode(variables))
    return root / "grubenv"


def efi(root: Path) -> Path:
    """Equip a device whose firmware decides; the directory with its variables."""
    rauc(root, "efi")
    firmware = Firmware(root)
    firmware.enter(1, "A")
    firmware.enter(2, "B")
    firmware.order(1)
    firmware.boot()
    return firmware.place


def content(state: Path) -> dict[str, bytes]:
    """What a file holds, or all files of a directory."""
    files = [state] if state.is_file() else sorted(state.iterdir())
    return {file.name: file.read_bytes() for file in files}


EVERY = pytest.mark.parametrize(
    "state", [grub, uboot, bootcount, stock_grub, efi], indirect=True, ids=lambda it: it.__name__
)


@pytest.fixture(params=[grub, uboot], ids=lambda loader: loader.__name__)
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The file with the boot state of a device, whose boot loader is each one in turn."""
    equip: Callable[[Path], Path] = request.param
    return equip(tmp_path)


@pytest.fixture
def device(tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A device that runs from slot A, seen through its files."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text("ro rauc.slot=A quiet\n")
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(words)
    out, err = capsys.readouterr()
    return code, out, err


@EVERY
def test_the_calls_of_one_rauc_installation(
    device: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """RAUC integration.rst, "Custom Bootloader Backend Interface": order and exact output."""
    assert run(capsys, "get-current") == (0, "A\n", "")
    assert run(capsys, "get-primary") == (0, "A\n", "")
    assert run(capsys, "set-state", "B", "bad") == (0, "", "")
    assert run(capsys, "get-state", "B") == (0, "bad\n", "")
    assert run(capsys, "set-primary", "B") == (0, "", "")
    assert run(capsys, "get-primary") == (0, "B\n", "")
    assert run(capsys, "get-state", "B") == (0, "good\n", "")
    assert run(capsys, "set-state", "A", "good") == (0, "", "")


@EVERY
def test_every_verb_may_be_repeated(
    device: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (("set-state", "B", "bad"), ("set-primary", "B"), ("set-state", "B", "good")):
        run(capsys, *words)
        once = content(state)
        assert run(capsys, *words) == (0, "", "")
        assert content(state) == once


def test_confirming_the_running_slot_ends_the_trial(
    device: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "set-state", "B", "good")
    assert not (device / "run/flipside/confirmed").exists()
    run(capsys, "set-state", "A", "good")
    assert (device / "run/flipside/confirmed").exists()


def test_status_for_people_and_for_programs(
    device: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "set-primary", "B")
    _, table, _ = run(capsys, "status")
    assert "slot A   confirmed  9 left  current" in table
    assert "slot B   on trial   3 left  next" in table
    _, text, _ = run(capsys, "status", "--json")
    facts = json.loads(text)
    assert facts["next"] == "B"
    assert facts["slots"]["A"] == {"left": 9, "confirmed": True}
    assert facts["capabilities"]["power_cycle"] == "takes an attempt"
    assert "trial    3 boots; a power cycle takes an attempt\n" in table
    assert "then     9 boots, each to be confirmed\n" in table


def test_status_of_a_scheme_that_tries_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    firmware = Firmware(tmp_path)
    for number, label in ((1, "A"), (2, "B")):
        firmware.enter(number, label)
    firmware.order(1)
    firmware.boot()
    for place, text in (
        ("proc/cmdline", "quiet"),
        ("etc/fw_env.config", ""),
        (
            "etc/rauc/system.conf",
            "[system]\nbootloader=efi\n[slot.a]\nbootname=A\n[slot.b]\nbootname=B\n",
        ),
    ):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_text(text)
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    run(capsys, "set-primary", "B")
    _, table, _ = run(capsys, "status")
    assert table.splitlines() == [
        "scheme   efi",
        "trial    1 boot, beside the stored order; a power cycle ends the trial",
        "then     boots not counted",
        "slot A   confirmed  stays  current",
        "slot B   on trial   1 left  next",
        "ignored  /etc/fw_env.config, which belongs to another scheme",
    ]
    assert run(capsys, "get-current") == (0, "A\n", "")


@pytest.mark.parametrize("verb", ["active", "good", "bad"])
def test_without_rauc_people_write_at_once(
    device: Path, state: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    backend = {"active": ("set-primary", "B"), "good": ("set-state", "B", "good")}
    run(capsys, *backend.get(verb, ("set-state", "B", "bad")))
    expected = state.read_bytes()
    for options in ((), ("--force",)):
        assert run(capsys, f"mark-{verb}", "B", *options) == (0, "", "")
        assert state.read_bytes() == expected


def test_status_tells_damage(device: Path, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state.write_bytes(b"")
    code, table, _ = run(capsys, "status")
    assert code == 0
    assert "damaged" in table
    assert "expected 1024" in table or "1024 bytes" in table


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("frobnicate",), 2, "unknown verb 'frobnicate'"),
        (("frobnicate",), 2, "get-current, create"),
        (("set-state", "B"), 2, "set-state got 1 arguments, expected 2"),
        (("set-state", "B", "fine"), 2, "state 'fine', expected good or bad"),
        (("get-state", "C"), 1, "'C' is not a slot of this device, expected A or B"),
        (("mark-good", "A", "--now"), 2, "mark-good knows no '--now', expected --force or nothing"),
        (("status", "--yaml"), 2, "expected --json or nothing"),
        (("create", "somewhere"), 2, "create expects the mounted EFI system partition"),
    ],
)
def test_bad_input_is_one_line_on_stderr(
    device: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    sentence: str,
) -> None:
    got, out, err = run(capsys, *words)
    assert (got, out) == (code, "")
    assert err.startswith("flipside-bootctl: ")
    assert sentence in err
    assert err.count("\n") == 1


def test_no_slot_with_attempts_is_a_failure(
    device: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "set-state", "A", "bad")
    code, out, err = run(capsys, "get-primary")
    assert (code, out) == (1, "")
    assert "no slot has attempts left" in err


def test_a_machine_without_our_boot_loader_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    code, _, err = run(capsys, "get-primary")
    assert code == 1
    assert "expected the EFI system partition to be mounted" in err


def test_a_command_line_without_a_slot_is_a_failure(
    device: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (device / "proc/cmdline").write_text("ro quiet\n")
    code, _, err = run(capsys, "get-current")
    assert code == 1
    assert "has no rauc.slot=" in err


def test_without_proc_only_the_running_slot_is_unknown(
    device: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (device / "proc/cmdline").unlink()
    code, out, _ = run(capsys, "status", "--json")
    assert (code, json.loads(out)["current"]) == (0, "")
    code, out, err = run(capsys, "get-current")
    assert (code, out) == (1, "")
    assert "has no rauc.slot=" in err


def test_a_trial_timer_that_cannot_be_told_is_a_failure_of_a_good_slot(
    device: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (device / "run").mkdir(exist_ok=True)
    (device / "run/flipside").write_text("not a directory")
    code, out, err = run(capsys, "set-state", "A", "good")
    assert (code, out) == (1, "")
    assert "expected to tell the trial timer there; the slot is good" in err
    assert run(capsys, "get-state", "A")[1] == "good\n"


def test_help_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert out.startswith("usage: flipside-bootctl")
