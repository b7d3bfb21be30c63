"""Byte for byte what mkenvimage makes, and what libubootenv's fw_printenv and fw_setenv read."""

from __future__ import annotations

import shutil
import subprocess
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


@pytest.fixture(params=[(None,), (4, 3), (0, 255)], ids=["single", "redundant", "wrapped"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A configuration of files that hold an environment of ours."""
    lines = ""
    for number, flag in enumerate(request.param):
        file = tmp_path / f"copy-{number}"
        file.write_bytes(bytes(64) + uboot_env.encode(Copy(VARIABLES, flag), SIZE))
        lines += f"{file} 0x40 {SIZE:#x}\n"
    config = tmp_path / "fw_env.config"
    config.write_text(lines)
    return config


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


def test_fw_printenv_reads_ours(config: Path) -> None:
    assert run("fw_printenv", "-c", config) == LINES
    storage(config).write({"bootcmd": "changed"})
    assert run("fw_printenv", "-c", config) == LINES.replace("run distro; echo a=b", "changed")


def test_fw_setenv_and_we_take_turns(config: Path) -> None:
    for number in range(4):
        run("fw_setenv", "-c", config, "theirs", str(number))
        storage(config).write({"ours": str(number)})
        expected = {**VARIABLES, "theirs": str(number), "ours": str(number)}
        assert storage(config).read() == expected
        listed = run("fw_printenv", "-c", config).splitlines()
        assert dict(line.split("=", 1) for line in listed) == expected


def test_what_fw_setenv_writes_we_write_the_same(config: Path, tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    beside.mkdir()
    for file in tmp_path.glob("copy-*"):
        shutil.copy(file, beside)
    other = beside / "fw_env.config"
    other.write_text(config.read_text().replace(f"{tmp_path}/copy", f"{beside}/copy"))
    run("fw_setenv", "-c", config, "BOOT_A_LEFT", "2")
    storage(other).write({"BOOT_A_LEFT": "2"})
    for file in tmp_path.glob("copy-*"):
        assert file.read_bytes() == (beside / file.name).read_bytes()
