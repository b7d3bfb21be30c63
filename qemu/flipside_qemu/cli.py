"""The `flipside-qemu` command: build the disk of a virtual device, and sit down at its console."""

from __future__ import annotations

import argparse
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flipside_qemu.errors import HarnessError, OperatorError

if TYPE_CHECKING:
    from flipside_qemu.board import Board

EXIT_CODES: Final = """\
exit status:
  0  done
  1  the device is at fault: it hung, crashed, or failed a command
  2  the operator is at fault: an argument, a file that is not there
  3  this machine is at fault: a missing program, no network to fetch one, a full disk
  4  QEMU is at fault: it did not start, or it died
"""
DISK, VARIABLES = "disk.raw", "variables.fd"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; whatever may be expected to fail is told in one line."""
    arguments = parser().parse_args(argv)
    command: Callable[[Namespace], None] = arguments.run
    try:
        command(arguments)
    except HarnessError as error:
        print(f"flipside-qemu: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("flipside-qemu: interrupted.", file=sys.stderr)
        return 130
    return 0


def build(arguments: Namespace) -> None:
    """Build a device's disk."""
    from flipside_qemu import disk, image, rootfs, tree, workbench

    keyring = _existing(arguments.keyring).read_bytes()
    files = tree.read(_existing(arguments.files)) if arguments.files else {}
    identity = arguments.device_toml
    provision = {"flipside/device.toml": _existing(identity).read_bytes()} if identity else {}
    bench = workbench.equip(_say)
    wanted, board = image.Image(arguments.version, keyring, files), _board(arguments)
    slot = image.build(bench, rootfs.build(bench.cache, arguments.suite, board), wanted)
    built = disk.build(bench, slot, arguments.directory, provision=provision, board=board)
    print(f"disk       {built.image}")
    print(f"variables  {built.variables or 'none, its firmware keeps none'}")
    print(f"slot image {slot}")


def run(arguments: Namespace) -> None:
    """Boot a device with its console at the terminal."""
    from flipside_qemu import emulator, kvm, overlay, process
    from flipside_qemu.cache import Cache, default_directory
    from flipside_qemu.machine import Machine
    from flipside_qemu.machine import argv as machine_argv

    hardware = _board(arguments).hardware
    disk = _disk(arguments)
    variables = _variables(arguments) if hardware.variables else None
    cache = Cache(default_directory(), _say)
    qemu = emulator.find(cache, hardware)
    machine = Machine(
        disk=disk,
        variables=variables or qemu.variables,
        hardware=hardware,
        memory=arguments.memory,
        forwards=tuple(arguments.forward),
    )
    with ExitStack() as stack:
        if not arguments.write:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="flipside-"))
            machine = overlay.private(machine, Path(directory), qemu.img)
            _say("changes to the disk are forgotten at the end; --write keeps them")
        if arguments.kvm:
            machine = kvm.accelerated(machine, qemu, cache)
        _say("Ctrl-A X switches the device off, Ctrl-A C leads to QEMU's monitor and back")
        process.foreground(machine_argv(machine, qemu, console=None))


def demo(arguments: Namespace) -> None:
    """Play the demo; anything that came otherwise than expected is the device's fault."""
    from flipside_qemu.errors import GuestError
    from flipside_qemu.theatre import perform

    if not perform(keep=arguments.keep):
        raise GuestError("not everything came as expected, see the last column of the table")


def parser() -> ArgumentParser:
    """The whole command line; `run` is the function of the chosen command."""
    whole = ArgumentParser(
        prog="flipside-qemu",
        description="Virtual devices: build one, boot it, look at it.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    _build(commands.add_parser("build", help="build the disk of a device"))
    _demo(
        commands.add_parser("demo", help="update a device over the air, with good and bad images")
    )
    _run(commands.add_parser("run", help="boot a device with its console at this terminal"))
    return whole


def _demo(command: ArgumentParser) -> None:
    command.set_defaults(run=demo)
    command.add_argument(
        "--keep", action="store_true", help="leave server and device running at the end"
    )


def _build(command: ArgumentParser) -> None:
    command.set_defaults(run=build)
    command.add_argument(
        "directory", type=Path, metavar="DIR", help=f"gets {DISK} and {VARIABLES}; made if need be"
    )
    command.add_argument(
        "--keyring",
        type=Path,
        required=True,
        metavar="FILE",
        help="certificates whose bundles the device takes, from `flipside keys init`",
    )
    command.add_argument(
        "--version", default="1", help="version of the system in slot A (default: %(default)s)"
    )
    _add_board(command)
    command.add_argument("--suite", default="trixie", help="suite of Debian (default: %(default)s)")
    command.add_argument(
        "--files", type=Path, metavar="DIR", help="files to be laid over the system's own"
    )
    command.add_argument(
        "--device-toml",
        type=Path,
        metavar="FILE",
        help="the device's identity and credentials, for its data partition",
    )


def _run(command: ArgumentParser) -> None:
    command.set_defaults(run=run)
    command.add_argument(
        "disk",
        type=Path,
        metavar="DISK",
        help="what `build` made, or a disk image: raw, or qcow2 if it is called so",
    )
    _add_board(command)
    command.add_argument(
        "--variables",
        type=Path,
        metavar="FILE",
        help="the firmware's variables (default: those beside the disk, else empty ones)",
    )
    command.add_argument(
        "--write", action="store_true", help="write to disk and variables themselves"
    )
    command.add_argument(
        "--memory", type=int, default=512, metavar="MIB", help="(default: %(default)s)"
    )
    command.add_argument("--kvm", action="store_true", help="use KVM if a trial boot works with it")
    command.add_argument(
        "--forward",
        type=_forward,
        action="append",
        default=[],
        metavar="HOST:GUEST",
        help="lead a TCP port of 127.0.0.1 to one of the device; may be repeated",
    )


def _forward(text: str) -> object:
    from flipside_qemu.machine import Forward

    host, _, guest = text.partition(":")
    if not (host.isdecimal() and guest.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r}, expected two port numbers such as 8022:22")
    return Forward(int(host), int(guest))


def _add_board(command: ArgumentParser) -> None:
    command.add_argument(
        "--board",
        default="qemu-x86_64",
        metavar="NAME",
        help="kind of device: %(default)s, qemu-arm64 or qemu-x86_64-systemd-boot"
        " (default: %(default)s)",
    )


def _board(arguments: Namespace) -> Board:
    from flipside_qemu.board import BOARDS

    if arguments.board not in BOARDS:
        names = ", ".join(BOARDS)
        raise OperatorError(f"there is no board {arguments.board}, expected one of {names}")
    return BOARDS[arguments.board]


def _disk(arguments: Namespace) -> Path:
    """The disk that was named, or that stands in the directory that was."""
    return _existing(arguments.disk / DISK if arguments.disk.is_dir() else arguments.disk)


def _variables(arguments: Namespace) -> Path | None:
    """The variables that were named, or that stand beside the disk; None for empty ones."""
    if arguments.variables:
        return _existing(arguments.variables)
    beside = _disk(arguments).parent / VARIABLES
    if beside.exists():
        return beside
    if arguments.write:
        raise OperatorError(
            f"{beside} does not exist, expected it beside a disk to be written; name --variables"
        )
    return None


def _existing(path: Path) -> Path:
    if not path.exists():
        raise OperatorError(f"{path} does not exist, expected a file; name another one")
    return path


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)
