"""The `flipside-qemu` command."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from flipside_qemu import cli, emulator
from flipside_qemu.emulator import Emulator
from models import qemu_program


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory as `build` leaves it, on a host whose QEMU prints its arguments and ends."""
    directory = tmp_path / "device"
    directory.mkdir()
    (directory / "disk.raw").write_bytes(b"disk")
    (directory / "variables.fd").write_bytes(b"variables")
    use_qemu(monkeypatch, "echo")
    return directory


def use_qemu(
    monkeypatch: pytest.MonkeyPatch, program: str, variables: Path | None = Path("/t/VARS.fd")
) -> None:
    found = Emulator((program,), qemu_program.IMG, Path("/t/CODE.fd"), variables)
    monkeypatch.setattr(emulator, "find", lambda *_: found)


def files(said: str) -> dict[str, str]:
    """The image files of a command line, by the name of their node."""
    images = map(json.loads, re.findall(r'\{"node-name.*?\}\}', said))
    return {image["node-name"]: image["file"]["filename"] for image in images}


def test_run_forgets_changes(disk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", str(disk)]) == 0
    said = capfd.readouterr()
    assert re.search(r"/flipside-\w+/disk.qcow2$", files(said.out)["disk"])
    assert not Path(files(said.out)["disk"]).exists()
    assert "--write keeps them" in said.err


def test_run_writes_if_told_so(disk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", str(disk / "disk.raw"), "--write"]) == 0
    assert files(capfd.readouterr().out) == {
        "code": "/t/CODE.fd",
        "vars": str(disk / "variables.fd"),
        "disk": str(disk / "disk.raw"),
    }


def test_run_never_writes_to_the_template_of_the_variables(
    disk: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (disk / "variables.fd").unlink()
    assert cli.main(["run", str(disk), "--write"]) == 2
    assert capfd.readouterr().err == (
        f"flipside-qemu: {disk}/variables.fd does not exist,"
        " expected it beside a disk to be written; name --variables\n"
    )


def test_run_gives_a_machine_without_variables_none(
    disk: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    use_qemu(monkeypatch, "echo", variables=None)
    assert cli.main(["run", str(disk), "--write", "--board", "qemu-arm64"]) == 0
    said = capfd.readouterr().out
    assert files(said) == {"disk": str(disk / "disk.raw")}
    assert "-machine virt -accel" in said


def test_an_unknown_board_is_told_with_those_that_there_are(
    disk: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", str(disk), "--board", "toaster"]) == 2
    assert capfd.readouterr().err.startswith(
        "flipside-qemu: there is no board toaster, expected one of qemu-x86_64, qemu-arm64"
    )


def test_run_passes_memory_and_forwards(disk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    options = ["--memory", "256", "--forward", "8022:22", "--forward", "8080:80"]
    assert cli.main(["run", str(disk), "--write", *options]) == 0
    said = capfd.readouterr().out
    assert " -m 256 " in said
    assert "hostfwd=tcp:127.0.0.1:8022-:22,hostfwd=tcp:127.0.0.1:8080-:80" in said


@pytest.mark.parametrize("ports", ["8022", "a:b", "8022:", ":22", "1:2:3"])
def test_run_refuses_ports_that_are_none(
    disk: Path, ports: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["run", str(disk), "--forward", ports])
    assert f"'{ports}', expected two port numbers such as 8022:22" in capfd.readouterr().err


def test_run_tells_of_a_qemu_that_fails(
    disk: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    use_qemu(monkeypatch, "false")
    assert cli.main(["run", str(disk), "--write"]) == 4
    assert capfd.readouterr().err.endswith("QEMU ended with code 1, see its words above\n")


@pytest.mark.parametrize(
    "command",
    [
        ["run", "/nowhere"],
        ["build", "/tmp/d", "--keyring", "/nowhere"],
        ["build", "/tmp/d", "--keyring", __file__, "--files", "/nowhere"],
        ["build", "/tmp/d", "--keyring", __file__, "--device-toml", "/nowhere"],
    ],
)
def test_files_that_are_not_there(command: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(command) == 2
    assert capfd.readouterr().err == (
        "flipside-qemu: /nowhere does not exist, expected a file; name another one\n"
    )


@pytest.mark.parametrize("command", [[], ["build"], ["run"]])
def test_help_says_what_it_ends_with(command: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main([*command, "--help"])
    assert ("exit status:" in capfd.readouterr().out) == (not command)
