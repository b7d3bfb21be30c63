"""Which scheme a machine has: RAUC's word first, then the files of ours, in one order."""

from __future__ import annotations

from pathlib import Path

import pytest

from flipside_bootctl import scheme, uboot_env
from flipside_bootctl.errors import NoScheme
from flipside_bootctl.uboot_env import Copy

SLOTS = "\n[slot.rootfs.0]\nbootname=A\n[slot.rootfs.1]\nbootname=B\n"


def put(root: Path, place: str, text: str = "") -> None:
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def uboot(root: Path, **variables: str) -> None:
    """A board with U-Boot, and these variables in its environment."""
    (root / "env").write_bytes(uboot_env.encode(Copy({"bootcmd": "x", **variables}), 512))
    put(root, scheme.UBOOT, "/env 0 512\n")


def found(root: Path) -> str:
    return scheme.detect(root).capabilities.scheme


COUNTING = {"bootlimit": "3", "altbootcmd": "run other"}


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, "uboot-counted"),
        ({"BOOT_A_LEFT": "3", **COUNTING}, "uboot-counted"),
        ({"bootlimit": "3"}, "uboot-counted"),
        ({**COUNTING, "bootlimit": "0"}, "uboot-counted"),
        (COUNTING, "uboot-bootcount"),
    ],
)
def test_u_boot_by_its_variables(tmp_path: Path, variables: dict[str, str], name: str) -> None:
    uboot(tmp_path, **variables)
    assert found(tmp_path) == name


def test_u_boot_that_counts_in_a_file(tmp_path: Path) -> None:
    uboot(tmp_path, BOOT_ORDER="B A", bootcount="0", upgrade_available="0", **COUNTING)
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/failures").write_bytes(b"\xbd\1\2\1")
    assert scheme.detect(tmp_path).read().slot("B").left == 1


def test_an_environment_that_cannot_be_read_is_the_scripts(tmp_path: Path) -> None:
    uboot(tmp_path, **COUNTING)
    (tmp_path / "env").write_bytes(bytes(512))
    assert found(tmp_path) == "uboot-counted"
    assert "checksum" in scheme.detect(tmp_path).damage()


@pytest.mark.parametrize("place", scheme.RAUC)
@pytest.mark.parametrize("loader", ["grub", "efi"])
def test_raucs_word_counts_where_it_drives_the_loader(
    tmp_path: Path, loader: str, place: str
) -> None:
    put(tmp_path, scheme.GRUB)
    uboot(tmp_path)
    put(tmp_path, place, f"[system]\nbootloader={loader}{SLOTS}")
    assert found(tmp_path) == loader
    assert scheme.overlooked(tmp_path) == [scheme.GRUB, scheme.UBOOT]


def test_raucs_u_boot_is_never_counted_by_itself(tmp_path: Path) -> None:
    put(tmp_path, scheme.GRUB)
    uboot(tmp_path, **COUNTING)
    put(tmp_path, scheme.RAUC[0], f"[system]\nbootloader=uboot{SLOTS}")
    assert found(tmp_path) == "uboot-counted"
    assert scheme.overlooked(tmp_path) == [scheme.GRUB]


@pytest.mark.parametrize("rauc", ["", "[system]\nbootloader=custom\n"])
def test_of_several_the_first_is_taken_and_the_others_are_told(tmp_path: Path, rauc: str) -> None:
    if rauc:
        put(tmp_path, scheme.RAUC[0], rauc)
    uboot(tmp_path)
    assert (found(tmp_path), scheme.overlooked(tmp_path)) == ("uboot-counted", [])
    put(tmp_path, scheme.GRUB)
    assert (found(tmp_path), scheme.overlooked(tmp_path)) == ("grub-counted", [scheme.UBOOT])


def test_none_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        NoScheme, match=r"neither .*grub.cfg nor .*fw_env.config is there and of Flipside, expected"
    ):
        scheme.detect(tmp_path)


@pytest.mark.parametrize("place", [scheme.RAUC[0], scheme.UBOOT])
def test_what_cannot_be_read_is_one_sentence(tmp_path: Path, place: str) -> None:
    put(tmp_path, place)
    (tmp_path / place).unlink()
    (tmp_path / place).symlink_to("/proc/self/mem")
    with pytest.raises(NoScheme, match=r"expected to read it|names 0 places"):
        scheme.detect(tmp_path)
