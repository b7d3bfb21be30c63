"""Anything may lie where boot state is expected: every verb says so in a sentence, and soon."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flipside_bootctl import cli
from models.equipment import bootcount, content, efi, grub, stock_grub, uboot

VERBS = [
    ("status",),
    ("status", "--json"),
    ("get-primary",),
    ("get-state", "A"),
    ("set-primary", "B"),
    ("set-state", "A", "good"),
    ("set-state", "B", "bad"),
    ("mark-active", "B", "--force"),
    ("mark-good", "A", "--force"),
    ("mark-bad", "B", "--force"),
]
CHANGING = [("set-primary", "B"), ("mark-active", "B", "--force")]
"""Those by which a fresh device is not left as it is."""
NOBODY = 65534
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "full").write_text("")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link_to_nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere/at/all")


def link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def huge(path: Path) -> None:
    os.truncate(path, 100 << 20)


HARM = [directory, pipe, link_to_nowhere, link_to_itself, huge]


@pytest.fixture(params=[grub, uboot, bootcount, stock_grub], ids=lambda it: it.__name__)
def state(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file with the boot state of a device that runs from slot A."""
    equip: Callable[[Path], Path] = request.param
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text("rauc.slot=A\n")
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    return equip(tmp_path)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Exit code and complaint; one has the other, and a verb that failed answers nothing."""
    code = cli.main(words)
    out, err = capsys.readouterr()
    assert err.count("\n") == (1 if code else 0), err
    assert not (code and out)
    return code, err


@pytest.mark.timeout(60)
@pytest.mark.parametrize("harm", HARM, ids=lambda it: it.__name__)
@pytest.mark.usefixtures("nobody_pulls_the_plug")
def test_whatever_lies_there_no_verb_hangs_or_raises(
    state: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    harm: Callable[[Path], None],
) -> None:
    for words in VERBS:
        before = sorted(tmp_path.rglob("*"))
        harm(state)
        code, _ = run(capsys, *words)
        if code:
            left = [path for path in sorted(tmp_path.rglob("*")) if path.parent != state]
            assert left == before, words
        _clear(state)
        state.write_bytes(b"")


def _clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@pytest.mark.timeout(60)
def test_a_firmware_variable_that_is_huge_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text("rauc.slot=A\n")
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    for file in efi(tmp_path).glob("BootOrder-*"):
        huge(file)
    for words in VERBS:
        run(capsys, *words)
    cli.main(["status"])
    assert "too long, expected at most 65536 bytes" in capsys.readouterr().out


FLASH = ["/dev/mtd0", "/dev/ubi0_0", "/dev/ubi0:env", "ubi0:env", "/dev/mtd2:env", "/null"]


@pytest.mark.parametrize("second", ["", "/boot.env"])
@pytest.mark.parametrize("name", FLASH)
def test_flash_is_refused_by_every_verb_and_nothing_changes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    second: str,
) -> None:
    """With two copies one of them in flash is enough, whichever it is."""
    state = uboot(tmp_path)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text("rauc.slot=A\n")
    (tmp_path / "null").symlink_to("/dev/null")  # a character device that everybody has
    lines = "".join(f"{one} 0 0x400\n" for one in (second, name) if one)
    (tmp_path / "etc/fw_env.config").write_text(lines)
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    before = content(state)
    for words in VERBS:
        code, err = run(capsys, *words)
        assert code == 1
        assert "raw flash and UBI are not read or written here, expected a file or a block" in err
    assert content(state) == before
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["/dev/mtdblock0", "/dev/disk/by-path/pci-0000:00:04.0"])
def test_a_block_device_of_any_name_is_no_flash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    state = uboot(tmp_path)
    (tmp_path / "etc/fw_env.config").write_text(f"{name} 0 0x400\n")
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    code, err = run(capsys, "set-primary", "B")
    assert (code, "No such file" in err) == (1, True)
    place = tmp_path / name.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    state.rename(place)
    assert run(capsys, "set-primary", "B") == (0, "")


@contextmanager
def somebody_else() -> Iterator[None]:
    """This process without any rights, for the while."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@ROOT_ONLY
@pytest.mark.parametrize("mode", [0, 0o444])
def test_who_may_not_read_is_told_so_and_who_may_not_write_changes_nothing(
    state: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    mode: int,
) -> None:
    """What the boot loader will do cannot be known by who may not look."""
    # From here on, because nobody else may enter the directories above.
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "ROOT", ".")
    assert run(capsys, "status", "--json") == (0, "")
    state.chmod(mode)
    before = content(state)
    with somebody_else():
        told = {words: run(capsys, *words) for words in (VERBS if mode == 0 else CHANGING)}
        assert mode or run(capsys, "get-current") == (0, "")
    for code, err in told.values():
        assert code == 1
        assert "Permission denied, expected to " in err
    assert content(state) == before
