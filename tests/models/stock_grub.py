"""What everybody else uses: RAUC's own backend for GRUB, Debian's grub-editenv, the usual script.

A device with it runs the same agent in the same way. It is here to be cut: a check of power cuts
that finds nothing to complain of in this scheme is blind.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from flipside_bootctl.errors import DamagedState
from flipside_bootctl.grubenv import decode
from flipside_qemu import disk
from flipside_qemu.aftermath import Attempt
from flipside_qemu.toolbox import Toolbox
from flipside_qemu.tree import File, Layer

ENVIRONMENT = "flipside/grubenv"
SCRIPT = "flipside/grub.cfg"
SYSTEM = """\
[system]
compatible=flipside-qemu-x86_64
bootloader=grub
grubenv=/efi/flipside/grubenv
bundle-formats=-plain
activate-installed=false
data-directory=/data/rauc

[keyring]
path=/etc/rauc/keyring.pem
check-purpose=codesign

[streaming]
sandbox-user=nobody

[slot.rootfs.0]
device=/dev/disk/by-partlabel/root-a
type=ext4
bootname=A

[slot.rootfs.1]
device=/dev/disk/by-partlabel/root-b
type=ext4
bootname=B
"""
CONFIG = r"""
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial

regexp --set=1:disk '^(.*),gpt[0-9]+$' "$root"
set environment=/flipside/grubenv
set ORDER="A B"
set A_OK=0
set A_TRY=0
set B_OK=0
set B_TRY=0
load_env -f $environment

# The first slot that is good and has not been tried since it was last found good.
set chosen=
for slot in $ORDER; do
  if [ -z "$chosen" -a "$slot" = A -a "$A_OK" = 1 -a "$A_TRY" = 0 ]; then
    set chosen=A
    set A_TRY=1
  fi
  if [ -z "$chosen" -a "$slot" = B -a "$B_OK" = 1 -a "$B_TRY" = 0 ]; then
    set chosen=B
    set B_TRY=1
  fi
done
if [ -z "$chosen" ]; then
  set A_TRY=0
  set B_TRY=0
fi
save_env -f $environment A_TRY B_TRY

if [ "$chosen" = A ]; then set part="$disk,gpt2"; set label=root-a; fi
if [ "$chosen" = B ]; then set part="$disk,gpt3"; set label=root-b; fi
if [ -n "$chosen" ]; then
  echo "flipside: slot $chosen"
  source "($part)/boot/arguments.cfg"
  linux "($part)/boot/vmlinuz" root=PARTLABEL=$label ro rauc.slot=$chosen $arguments
  initrd "($part)/boot/initrd.img"
  boot
fi
echo "flipside: no slot to boot, starting over"
reboot
"""
"""The script that RAUC's manual describes, for a device without a rescue system."""
FRESH = {"ORDER": "A B", "A_OK": "1", "A_TRY": "0", "B_OK": "0", "B_TRY": "0"}


def layer(toolbox: Toolbox) -> Layer:
    """What makes an image use it."""
    library = "usr/lib/x86_64-linux-gnu/libdevmapper.so.1.02.1"
    return {
        "etc/rauc/system.conf": File(SYSTEM.encode()),
        "usr/bin/grub-editenv": File(toolbox.path("usr/bin/grub-editenv").read_bytes(), 0o755),
        library: File(toolbox.path(library).read_bytes(), 0o755),
    }


def move_in(toolbox: Toolbox, image: Path) -> None:
    """Give the EFI system partition of this disk the stock script and its environment."""
    where = f"{image}@@{disk.offset_of('esp')}"
    with tempfile.TemporaryDirectory() as name:
        script, environment = Path(name, "grub.cfg"), Path(name, "grubenv")
        script.write_text(CONFIG)
        toolbox.run("grub-editenv", environment, "create")
        settings = [f"{key}={value}" for key, value in FRESH.items()]
        toolbox.run("grub-editenv", environment, "set", *settings)
        toolbox.run("mdel", "-i", where, "::/flipside/boot.env", "::/flipside/commit.env")
        toolbox.run("mcopy", "-o", "-i", where, script, environment, "::/flipside/")


class StockGrub:
    """How that script chooses."""

    def changes(self, name: str) -> bool:
        """Whether this is its environment."""
        return name == ENVIRONMENT

    def can_load(self, slot: str, files: Mapping[str, bytes]) -> bool:
        """It takes kernels from the slots."""
        return True

    def attempts(self, files: Mapping[str, bytes]) -> tuple[Attempt, ...]:
        """The slots it starts one after the other, if each fails; none: it starts over for ever."""
        try:
            environment = decode(files.get(ENVIRONMENT, b""))
        except DamagedState:
            return ()
        good = [
            s for s in environment.get("ORDER", "").split() if environment.get(f"{s}_OK") == "1"
        ]
        fresh = [slot for slot in good if environment.get(f"{slot}_TRY") == "0"]
        return tuple(Attempt(slot, trial=False) for slot in (*fresh, *good))
