"""Byte for byte what mkenvimage makes, and what both families of fw_printenv and fw_setenv read.

Debian ships libubootenv's. U-Boot's own are made by ``make envtools`` in its source tree, and tried
if FLIPSIDE_UBOOT_ENVTOOLS names the directory that they lie in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from flipside_bootctl import fw_env_config, uboot_env
from flipside_bootctl.uboot_env import Copy
from flipside_bootctl.uboot_storage import UbootStorage

TOOLS = ("mkenvimage", "fw_printenv", "fw_setenv")
MISSING = [tool for tool in TOOLS if not shutil.which(tool)]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"{', '.join(MISSING)} missing (u-boot-tools, libubootenv-tool)"
)

OURS = "FLIPSIDE_UBOOT_ENVTOOLS"
SIZE = 1024
VARIABLES = {
    "BOOT_A_LEFT": "3",
    "BOOT_ORDER": "A B",
    "bootcmd": "run distro; echo a=b",
    "empty": "",
    "umlaut": "\N{LATIN SMALL LETTER A WITH DIAERESIS}",
}
LINES = "".join(f"{name}={value}\n" for name, value in VARIABLES.items())


def run(*command: str | Path, given: str = "") -> str:
    words = [str(word) for word in command]
    return subprocess.run(words, check=True, capture_output=True, text=True, input=given).stdout


@pytest.fixture(params=["libubootenv", "u-boot"])
def family(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whose tools the test runs."""
    if request.param == "u-boot":
        if OURS not in os.environ:
            pytest.skip(f"{OURS} names no directory with U-Boot's own tools")
        monkeypatch.setenv("PATH", os.environ[OURS], prepend=os.pathsep)
    return str(request.param)


@pytest.fixture(params=[(None,), (4, 3), (0, 255)], ids=["single", "redundant", "wrapped"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A configuration of files that hold an environment of ours."""
    lines = ""
    for number, flag in enumerate(request.param):
        file = tmp_path / f"copy-{number}"
        file.write_bytes(bytes(SIZE) + uboot_env.encode(Copy(VARIABLES, flag), SIZE))
        lines += f"{file} {SIZE:#x} {SIZE:#x}\n"
    config = tmp_path / "fw_env.config"
    config.write_text(lines)
    return config


@pytest.fixture
def at_the_end(tmp_path: Path) -> Iterator[Path]:
    """A configuration of two copies at the end of a real block device."""
    disk, config = tmp_path / "disk", tmp_path / "fw_env.config"
    copies = (uboot_env.encode(Copy(VARIABLES, flag), SIZE) for flag in (4, 3))
    disk.write_bytes(bytes(1 << 20) + b"".join(copies))
    made = subprocess.run(
        ["losetup", "--find", "--show", disk], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no block device to try it on: {made.stderr.strip()}")
    device = made.stdout.strip()
    config.write_text(f"{device} -{2 * SIZE:#x} {SIZE:#x}\n{device} -{SIZE:#x} {SIZE:#x}\n")
    yield config
    run("losetup", "--detach", device)


def storage(config: Path) -> UbootStorage:
    return UbootStorage(fw_env_config.parse(config.read_text(), str(config)), "/")


@pytest.mark.parametrize(
    ("redundant", "big", "pad"), [*product((False, True), (False, True), (0, 0xFF))]
)
def test_an_image_of_mkenvimage_comes_back_the_same(
    tmp_path: Path, redundant: bool, big: bool, pad: int
) -> None:
    options = ["-r"] * redundant + ["-b"] * big
    image = tmp_path / "image"
    run("mkenvimage", "-s", str(SIZE), "-p", hex(pad), *options, "-o", image, "-", given=LINES)
    found = uboot_env.decode(image.read_bytes(), redundant=redundant)
    assert found.variables == VARIABLES
    assert (found.order, found.pad) == ("big" if big else "little", pad)
    assert uboot_env.encode(found, SIZE) == image.read_bytes()


def test_fw_printenv_reads_ours(family: str, config: Path) -> None:
    assert run("fw_printenv", "-c", config) == LINES
    storage(config).write({"bootcmd": "changed"})
    assert run("fw_printenv", "-c", config) == LINES.replace("run distro; echo a=b", "changed")


def test_fw_setenv_and_we_take_turns(family: str, config: Path) -> None:
    for number in range(4):
        run("fw_setenv", "-c", config, "theirs", str(number))
        storage(config).write({"ours": str(number)})
        expected = {**VARIABLES, "theirs": str(number), "ours": str(number)}
        assert storage(config).read() == expected
        listed = run("fw_printenv", "-c", config).splitlines()
        assert dict(line.split("=", 1) for line in listed) == expected


def test_offsets_from_the_end_of_a_block_device(family: str, at_the_end: Path) -> None:
    assert dict(storage(at_the_end).read()) == VARIABLES
    storage(at_the_end).write({"BOOT_ORDER": "B A"})
    assert "BOOT_ORDER=B A" in run("fw_printenv", "-c", at_the_end).splitlines()
    run("fw_setenv", "-c", at_the_end, "theirs", "1")
    assert storage(at_the_end).read() == {**VARIABLES, "BOOT_ORDER": "B A", "theirs": "1"}


def test_what_fw_setenv_writes_we_write_the_same(family: str, config: Path, tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    beside.mkdir()
    for file in tmp_path.glob("copy-*"):
        shutil.copy(file, beside)
    other = beside / "fw_env.config"
    other.write_text(config.read_text().replace(f"{tmp_path}/copy", f"{beside}/copy"))
    # The last one: libubootenv sorts, U-Boot puts what is changed at the end, we leave it there.
    run("fw_setenv", "-c", config, "umlaut", "none")
    storage(other).write({"umlaut": "none"})
    for file in tmp_path.glob("copy-*"):
        assert file.read_bytes() == (beside / file.name).read_bytes()
