"""A board whose U-Boot keeps its own environment, twice, and counts boots by itself.

U-Boot is built from Debian's source by Debian's cross compiler, as its own build for this board is,
but for ``bootctl/uboot/redundant.config``.
"""

from __future__ import annotations

import shlex
import tempfile
from dataclasses import replace
from pathlib import Path

from flipside_qemu import debian, filesystem, guest, toolbox, tree
from flipside_qemu.board import QEMU_ARM64, UBOOT
from flipside_qemu.cache import key_of, recipe
from flipside_qemu.esp import SERIAL, SIZE
from flipside_qemu.hardware import VIRT
from flipside_qemu.tree import File, Layer
from flipside_qemu.uboot_partition import ENVIRONMENT_SIZE, SOURCES
from flipside_qemu.workbench import Workbench

CONFIG = SOURCES / "redundant.config"
COPIES = ("uboot.env", "uboot-redund.env")
PACKAGES = (
    *("bc", "bison", "dpkg-dev", "flex", "gcc", "gcc-aarch64-linux-gnu"),
    *("libc6-dev", "libgnutls28-dev", "libssl-dev", "make", "python3-dev", "python3-setuptools"),
    *("swig", "uuid-dev"),
)
FILES: Layer = {
    "etc/fw_env.config": File(
        "".join(f"/efi/{name}  0x0  {ENVIRONMENT_SIZE:#x}\n" for name in COPIES).encode()
    )
}
_FETCH = """\
set -eu
cd "$1/tmp"
# The two archives without the description of them: a mirror was seen not to have that.
for part in tar diff; do
    APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" \\
        apt-get source -q --only-source --download-only --$part-only u-boot
done
"""
_BUILD = """\
set -eu
cd /tmp
tar -xf u-boot_*.orig.tar.*
cd u-boot-*/
tar -xf ../u-boot_*.debian.tar.*
dpkg-source --before-build .
make -s qemu_arm64_defconfig
scripts/kconfig/merge_config.sh -m .config /tmp/redundant.config
make -s olddefconfig
make -s -j2 CROSS_COMPILE=aarch64-linux-gnu- {files}
cp {files} /
"""
PROGRAM, DEFAULTS = "u-boot.bin", "u-boot-initial-env"
"""U-Boot, and the variables that are built into it, as text."""


def firmware(bench: Workbench) -> Path:
    """This U-Boot."""
    return _built(bench) / PROGRAM


def _built(bench: Workbench) -> Path:
    """From the cache or freshly built: two minutes of a processor."""
    config, build = guest.text(CONFIG), _BUILD.format(files=f"{PROGRAM} {DEFAULTS}")
    key = key_of(toolbox.SUITE, _FETCH, build, config, *PACKAGES)

    def make(place: Path) -> None:
        root = place / "root.tar"
        hook = (
            f"{_FETCH}printf %s {shlex.quote(config)} > redundant.config\n"
            f'chroot "$1" sh -c {shlex.quote(build)}'
        )
        options = ["--variant=minbase", "--mode=auto", f"--customize-hook={hook}"]
        debian.bootstrap(
            root, toolbox.SUITE, PACKAGES, options=options, say=bench.say, sources=True
        )
        tree.extract(root, place, lambda name: name in (PROGRAM, DEFAULTS))
        root.unlink()

    return bench.cache.entry("uboot-redundant", key, 2, make)


def partition(bench: Workbench, slot: Path) -> Path:
    """Its first partition: the boot script, and the two copies of the environment."""
    tools = VIRT.toolbox(bench.cache)
    # The stored environment is taken in place of the built-in one, so it has to hold that, too.
    state = (_built(bench) / DEFAULTS).read_text() + guest.text(SOURCES / "first.env")
    usual = UBOOT.partition(bench, slot)
    key = key_of(recipe(__file__, filesystem.__file__), usual.parent.name, state)

    def make(place: Path) -> None:
        with tempfile.TemporaryDirectory() as name:
            content = Path(name)
            script = bench.toolbox.run("mtype", "-i", usual, "::boot.scr")
            (content / "boot.scr").write_bytes(script)
            for copy in COPIES:
                words = ("-r", "-s", hex(ENVIRONMENT_SIZE), "-o", content / copy, "-")
                tools.run("mkenvimage", *words, stdin=state.encode())
            filesystem.make_fat(bench.toolbox, place / "esp.img", SIZE, SERIAL, content)

    return bench.cache.entry("uboot-redundant-partition", key, 2, make) / "esp.img"


BOARD = replace(QEMU_ARM64, loader=replace(UBOOT, partition=partition))
