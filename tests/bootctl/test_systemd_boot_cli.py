"""``flipside-bootctl`` on a device with systemd-boot, as RAUC and as people call it."""

from __future__ import annotations

from pathlib import Path

import pytest

from flipside_bootctl import cli
from models.esp_device import ROOM, EspDevice, kernel
from models.systemd_boot import ENTRIES

pytestmark = pytest.mark.usefixtures("nobody_pulls_the_plug")

MOUNT = """\
#!/bin/sh
echo "$0 $*" >> {log}
test -e "$3" || {{ echo "mount: $3: no such device" >&2; exit 32; }}
ln -s "$3/boot" "$4/boot"
"""
UMOUNT = """\
#!/bin/sh
echo "$0 $*" >> {log}
rm "$1/boot"
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A device that runs from slot A, seen through its files; a slot's device is a directory."""
    device = EspDevice(tmp_path).make()
    device.fill("B", 2)
    device.esp.rename(tmp_path / "efi")
    partitions = tmp_path / "dev/disk/by-partlabel"
    partitions.mkdir(parents=True)
    (tmp_path / "B").rename(partitions / "root-b")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text("ro rauc.slot=A quiet\n")
    (tmp_path / "bin").mkdir()
    for name, script in (("mount", MOUNT), ("umount", UMOUNT)):
        program = tmp_path / "bin" / name
        program.write_text(script.format(log=tmp_path / "log"))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(words)
    out, err = capsys.readouterr()
    return code, out, err


def test_the_calls_of_one_rauc_installation(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "get-primary") == (0, "A\n", "")
    assert run(capsys, "set-state", "B", "bad") == (0, "", "")
    assert run(capsys, "get-state", "B") == (0, "bad\n", "")
    assert run(capsys, "set-primary", "B") == (0, "", "")
    assert run(capsys, "get-primary") == (0, "B\n", "")
    assert run(capsys, "get-state", "B") == (0, "good\n", "")
    assert run(capsys, "set-state", "A", "good") == (0, "", "")
    assert (root / "efi/flipside/b/vmlinuz").read_bytes() == kernel(2)
    device, point = root / "dev/disk/by-partlabel/root-b", root / "run/flipside/root-b"
    assert (root / "log").read_text().splitlines() == [
        f"{root}/bin/mount -o ro,nosuid,nodev,noexec {device} {point}",
        f"{root}/bin/umount {point}",
    ]


def test_status_names_the_scheme(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, table, _ = run(capsys, "status")
    assert "scheme   systemd-boot" in table
    assert "slot A   confirmed  9 left  current, next" in table
    (root / "efi" / ENTRIES / "flipside-0-a.conf").write_bytes(b"")
    _, table, _ = run(capsys, "status")
    assert "damaged  flipside-0-a.conf: its end is missing" in table


def test_a_slot_that_cannot_be_mounted_is_one_line(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "dev/disk/by-partlabel/root-b").rename(root / "elsewhere")
    code, out, err = run(capsys, "set-primary", "B")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "root-b: no such device" in err
    assert run(capsys, "get-primary") == (0, "A\n", "")


def test_the_running_slot_is_not_mounted_again(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "A/boot").rename(root / "boot")
    assert run(capsys, "set-primary", "A") == (0, "", "")
    assert not (root / "log").exists()


def test_a_machine_without_mount_says_so(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(root / "nowhere"))
    code, _, err = run(capsys, "set-primary", "B")
    assert code == 1
    assert "mount: No such file or directory, expected to run it" in err


def test_a_partition_is_made_where_an_image_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device = EspDevice(tmp_path)
    device.fill("A", 1)
    esp = tmp_path / "fresh"
    assert run(capsys, "create", str(esp), "A", str(tmp_path / "A")) == (0, "", "")
    files = sorted(str(one.relative_to(esp)) for one in esp.rglob("*") if one.is_file())
    assert files == [
        "flipside/a/initrd.img",
        "flipside/a/vmlinuz",
        f"{ENTRIES}flipside-0-a.conf",
        f"{ENTRIES}flipside-2-a+9.conf",
    ]
    assert (ROOM / "loader.conf").read_text().startswith("# Flipside")


def test_somebody_elses_systemd_boot_is_not_ours(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "efi/loader/loader.conf").write_text("timeout 3\n")
    code, _, err = run(capsys, "get-primary")
    assert code == 1
    assert "loader.conf of Flipside nor" in err
