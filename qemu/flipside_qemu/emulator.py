"""Which QEMU runs the devices, and with which firmware."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from flipside_qemu.cache import Cache
from flipside_qemu.errors import HostError
from flipside_qemu.hardware import PC, Hardware
from flipside_qemu.toolbox import Toolbox

OLDEST = (9, 0)
"""QEMU 7.2, Debian 12's, was seen to corrupt x86 guests under emulation; 10.0 was not."""

_IMG = "qemu-img"

_FIRMWARE = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
)
"""Code and empty variables of OVMF, where Debian, Arch and Fedora keep them."""
_DATA = ("usr/share/qemu", "usr/share/seabios")


@dataclass(frozen=True, slots=True)
class Emulator:
    """A QEMU that may be used, and what it needs."""

    command: tuple[str, ...]
    """Starts QEMU; a whole command, because QEMU may have to be started through a loader."""
    img: tuple[str, ...]
    """Starts qemu-img."""
    firmware: Path
    """The firmware's code, read only."""
    variables: Path | None
    """Empty variables, a template; None where the firmware keeps none."""
    data: tuple[Path, ...] = ()
    """Where QEMU finds its own files, if not where it was built to look."""


def find(cache: Cache, hardware: Hardware = PC) -> Emulator:
    """The host's QEMU if it is new enough and has its firmware, else the toolbox's."""
    # Only OVMF is the same everywhere; of U-Boot the devices need the build that they know.
    return (installed() if hardware is PC else None) or of_toolbox(
        hardware.toolbox(cache), hardware
    )


def installed() -> Emulator | None:
    """The QEMU of the host, if all of it is there and it is not too old."""
    system, img = shutil.which(PC.program), shutil.which(_IMG)
    pair = next((p for p in _FIRMWARE if all(Path(path).exists() for path in p)), None)
    if system is None or img is None or pair is None or version((system,)) < OLDEST:
        return None
    return Emulator((system,), (img,), Path(pair[0]), Path(pair[1]))


def of_toolbox(tools: Toolbox, hardware: Hardware = PC) -> Emulator:
    """The QEMU of the toolbox."""
    return Emulator(
        command=tuple(tools.argv(hardware.program)),
        img=tuple(tools.argv(_IMG)),
        firmware=tools.path(hardware.firmware),
        variables=tools.path(hardware.variables) if hardware.variables else None,
        data=tuple(tools.root / place for place in _DATA if (tools.root / place).exists()),
    )


def version(command: tuple[str, ...]) -> tuple[int, int]:
    """The version that a QEMU says it has; (0, 0) if it says none."""
    try:
        said = subprocess.run(
            [*command, "--version"], capture_output=True, text=True, check=False, timeout=30
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError(f"{command[0]} does not start, expected QEMU: {error}") from error
    return parse_version(said)


def parse_version(said: str) -> tuple[int, int]:
    """The version in what `--version` prints; (0, 0) if there is none."""
    found = re.search(r"version (\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)
