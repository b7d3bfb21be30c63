"""What real RAUC says to our bundles, with the settings of our devices."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from flipside_release.cli import main
from flipside_release.inspection import Inspection, inspect

SYSTEM_CONF = """\
[system]
compatible=test-board
bootloader=noop
bundle-formats=-plain
[keyring]
path={keyring}
check-purpose=codesign
[slot.rootfs.0]
device=/dev/null
type=ext4
bootname=A
"""


@dataclass(frozen=True)
class Rauc:
    """The real program, set up as a device of ours is."""

    conf: Path

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["rauc", f"--conf={self.conf}", *arguments], capture_output=True, text=True, check=False
        )


@pytest.fixture
def rauc(tmp_path: Path) -> Callable[[Path], Rauc]:
    """RAUC on a device that trusts the authority in the given directory."""
    if shutil.which("rauc") is None:
        pytest.skip("rauc is not on PATH (Debian package rauc)")

    def trusting(keys: Path) -> Rauc:
        conf = tmp_path / "system.conf"
        conf.write_text(SYSTEM_CONF.format(keyring=keys / "keyring.pem"))
        return Rauc(conf)

    return trusting


@pytest.fixture
def bundle(tmp_path: Path, image: Path, keys: Path) -> Path:
    path = tmp_path / "v2.raucb"
    assert bundled(path, image, keys) == 0
    return path


def bundled(output: Path, image: Path, keys: Path, *more: str) -> int:
    return main(
        [
            *("bundle", str(image), "--output", str(output), "--keys", str(keys)),
            *("--compatible", "test-board", "--version", "2", *more),
        ]
    )


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


def test_rauc_accepts_the_signature(
    rauc: Callable[[Path], Rauc], bundle: Path, keys: Path, image: Path
) -> None:
    said = rauc(keys).run("info", "--output-format=json", bundle)
    assert said.returncode == 0, said.stderr
    described = json.loads(said.stdout)
    assert described["compatible"] == "test-board"
    assert described["version"] == "2"
    (packed,) = described["images"]
    assert packed["rootfs"]["filename"] == "rootfs.ext4"
    assert packed["rootfs"]["size"] == image.stat().st_size


def test_rauc_names_it_by_the_same_hash(
    rauc: Callable[[Path], Rauc], bundle: Path, keys: Path
) -> None:
    described = json.loads(rauc(keys).run("info", "--output-format=json", bundle).stdout)
    if "hash" not in described:
        pytest.skip("this RAUC does not print the manifest hash (1.8 does not, 1.13 does)")
    assert described["hash"] == inspect(bundle, payload=False).hash


def test_rauc_finds_the_payload_intact_and_gives_back_the_image(
    rauc: Callable[[Path], Rauc], bundle: Path, keys: Path, image: Path, tmp_path: Path
) -> None:
    if shutil.which("unsquashfs") is None:
        pytest.skip("unsquashfs is not on PATH (Debian package squashfs-tools)")
    extracted = tmp_path / "extracted"
    said = rauc(keys).run("extract", bundle, extracted)
    assert said.returncode == 0, said.stderr
    assert (extracted / "rootfs.ext4").read_bytes() == image.read_bytes()


@pytest.mark.parametrize("part", ["first", "image", "tree"])
def test_rauc_and_inspect_find_a_flipped_bit(
    rauc: Callable[[Path], Rauc],
    bundle: Path,
    keys: Path,
    tmp_path: Path,
    part: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    parts = inspect(bundle, payload=True).layout
    flip(bundle, {"first": 8, "image": parts.squashfs // 2, "tree": parts.squashfs + 40}[part])
    said = rauc(keys).run("extract", bundle, tmp_path / "extracted")
    assert said.returncode != 0
    assert "payload is corrupted" in said.stderr
    capsys.readouterr()
    assert main(["inspect", str(bundle)]) == 4
    assert f"{bundle}: The bundle is damaged" in capsys.readouterr().err


def test_rauc_finds_a_changed_manifest(
    rauc: Callable[[Path], Rauc], bundle: Path, keys: Path
) -> None:
    content = bundle.read_bytes()
    at = content.rindex(b"version=2")
    flip(bundle, at + len(b"version="))
    assert inspect(bundle, payload=True).manifest.version == "3"
    said = rauc(keys).run("info", bundle)
    assert said.returncode != 0
    assert "verif" in said.stderr + said.stdout


def test_rauc_refuses_another_authority_of_the_same_name(
    rauc: Callable[[Path], Rauc], bundle: Path, foreign_keys: Path
) -> None:
    said = rauc(foreign_keys).run("info", bundle)
    assert said.returncode != 0
    assert "unable to get local issuer certificate" in said.stderr + said.stdout


def test_rauc_refuses_an_expired_signer(
    rauc: Callable[[Path], Rauc], tmp_path: Path, image: Path, keys: Path
) -> None:
    path = tmp_path / "old.raucb"
    assert bundled(path, image, keys, "--signer", "old", "--allow-expired") == 0
    said = rauc(keys).run("info", path)
    assert said.returncode != 0
    assert "certificate has expired" in said.stderr + said.stdout


def test_rauc_reads_text_as_we_write_it(
    rauc: Callable[[Path], Rauc], tmp_path: Path, image: Path, keys: Path
) -> None:
    path, text = tmp_path / "text.raucb", r"ü = 2 \n; #3 [x] \ end\\"
    assert bundled(path, image, keys, "--description", text) == 0
    said = rauc(keys).run("info", "--output-format=json", path)
    assert json.loads(said.stdout)["description"] == text


def test_rauc_takes_a_bundle_of_almost_nothing(
    rauc: Callable[[Path], Rauc], tmp_path: Path, keys: Path
) -> None:
    image, path = tmp_path / "zeros.img", tmp_path / "zeros.raucb"
    image.write_bytes(bytes(4096))
    assert bundled(path, image, keys) == 0
    assert rauc(keys).run("extract", path, tmp_path / "extracted").returncode == 0


def test_rauc_bundles_are_read(
    rauc: Callable[[Path], Rauc], tmp_path: Path, image: Path, keys: Path
) -> None:
    """The other direction: our reading of the format, against a bundle that RAUC made."""
    content, path = tmp_path / "content", tmp_path / "theirs.raucb"
    content.mkdir()
    (content / "rootfs.ext4").write_bytes(image.read_bytes())
    (content / "manifest.raucm").write_text(
        "[update]\ncompatible=test-board\nversion=7\n[bundle]\nformat=verity\n"
        "[image.rootfs]\nfilename=rootfs.ext4\n"
    )
    signer = (f"--cert={keys}/signer.cert.pem", f"--key={keys}/signer.key.pem")
    made = rauc(keys).run("bundle", *signer, content, path)
    assert made.returncode == 0, made.stderr
    theirs: Inspection = inspect(path, payload=True)
    assert theirs.manifest.version == "7"
    assert theirs.signer == "CN=Update signer,O=Test"
