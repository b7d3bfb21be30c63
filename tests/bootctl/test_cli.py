from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from flipside_bootctl import cli
from flipside_bootctl.grub_counted import GrubCounted
from models.efi_firmware import Firmware
from models.equipment import bootcount, content, efi, grub, stock_grub, uboot

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
        (("create", "somewhere"), 2, "create got 1 arguments, expected 2 or 3"),
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


def silent(command_line: Path) -> None:
    command_line.write_text("ro quiet\n")


def missing(command_line: Path) -> None:
    command_line.unlink()


def unreadable(command_line: Path) -> None:
    command_line.unlink()
    command_line.mkdir()


def rubbish(command_line: Path) -> None:
    command_line.write_bytes(b"ro \xff\xfe=\x80 quiet\n")


@pytest.mark.parametrize(
    "damage", [silent, missing, unreadable, rubbish], ids=lambda it: it.__name__
)
def test_where_the_kernel_command_line_names_no_slot_the_running_one_is_unknown(
    device: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None]
) -> None:
    damage(device / "proc/cmdline")
    code, out, err = run(capsys, "get-current")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"no rauc.slot= in {device}/proc/cmdline, expected" in err
    assert "current" not in run(capsys, "status")[1]
    assert json.loads(run(capsys, "status", "--json")[1])["current"] == ""
    assert run(capsys, "mark-good", "B") == (0, "", "")
    assert run(capsys, "get-state", "B") == (0, "good\n", "")
    assert not (device / "run/flipside/confirmed").exists()


def test_an_unknown_verb_is_told_every_verb_that_the_help_has(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, _, err = run(capsys, "frobnicate")
    told = err.partition("expected one of ")[2].strip().split(", ")
    helped = [
        line.split()[0]
        for line in cli.HELP.splitlines()
        if line.startswith("  ") and line[2] != " "
    ]
    assert sorted(told) == sorted(helped)


def test_a_trial_timer_that_cannot_be_told_is_one_sentence(
    device: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (device / "run").mkdir()
    (device / "run/flipside").write_text("")
    code, out, err = run(capsys, "mark-good", "A")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "run/flipside/confirmed: " in err
    assert "expected to tell the timer of the trial" in err
    assert run(capsys, "get-state", "A") == (0, "good\n", "")


def test_a_relative_partition_that_cannot_be_made_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "create", "fresh", "A") == (0, "", "")
    assert GrubCounted("fresh").committed() == "A"
    (tmp_path / "file").write_text("")
    for words in (("file", "A"), ("file", "A", str(tmp_path))):
        code, out, err = run(capsys, "create", *words)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert "expected to make it" in err


def test_help_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert out.startswith("usage: flipside-bootctl")
