"""What can be typed after `flipside`."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from flipside_release.keydir import SIGNER

EXIT_CODES: Final = """\
exit status:
  0  done
  2  the operator is at fault: an argument, a passphrase, a key that may not sign
  3  the machine is at fault: a missing program, a full disk, an unreadable file
  4  the bundle is at fault: none at all, of another format, or damaged
"""


def parser() -> argparse.ArgumentParser:
    """The whole command line; `command` names the chosen one."""
    whole = argparse.ArgumentParser(
        prog="flipside",
        description="Make keys and signed update bundles.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    keys = commands.add_parser("keys", help="make an authority and its signers")
    keys_commands = keys.add_subparsers(required=True, metavar="COMMAND")
    _keys_init(keys_commands.add_parser("init", help="make an authority and its first signer"))
    _keys_signer(keys_commands.add_parser("signer", help="let an authority vouch for a signer"))
    _bundle(commands.add_parser("bundle", help="make a signed bundle from an image"))
    _inspect(commands.add_parser("inspect", help="say what a bundle holds, and check that it does"))
    return whole


def _keys_init(command: argparse.ArgumentParser) -> None:
    command.set_defaults(command="keys init")
    command.add_argument(
        "dir", type=Path, metavar="DIR", help="made if need be; nothing in it is overwritten"
    )
    command.add_argument("--organisation", metavar="NAME", help="written into the certificates")
    secrecy = command.add_mutually_exclusive_group()
    _passphrase_file(secrecy)
    secrecy.add_argument(
        "--unencrypted",
        action="store_true",
        help="no passphrase: for tests and for disks that are encrypted themselves",
    )


def _keys_signer(command: argparse.ArgumentParser) -> None:
    command.set_defaults(command="keys signer")
    command.add_argument("dir", type=Path, metavar="DIR", help="made by `flipside keys init`")
    command.add_argument(
        "--name", required=True, help="of its files, and for `flipside bundle --signer`"
    )
    command.add_argument(
        "--common-name", metavar="NAME", help="in the certificate; default: 'Update ' and its name"
    )
    command.add_argument(
        "--not-before", type=_moment, metavar="TIME", help="ISO 8601, UTC; default: yesterday"
    )
    command.add_argument("--not-after", type=_moment, metavar="TIME", help="default: in two years")
    _passphrase_file(command)


def _bundle(command: argparse.ArgumentParser) -> None:
    command.set_defaults(command="bundle")
    command.add_argument("image", type=Path, metavar="IMAGE", help="a raw file system image")
    command.add_argument(
        "--compatible",
        required=True,
        metavar="NAME",
        help="must equal the device's, in its system.conf",
    )
    command.add_argument("--version", required=True, help="of the image, one line of text")
    command.add_argument("--description", metavar="TEXT")
    command.add_argument(
        "--keys", required=True, type=Path, metavar="DIR", help="made by `flipside keys init`"
    )
    command.add_argument("--signer", default=SIGNER, metavar="NAME", help="default: %(default)s")
    command.add_argument(
        "--slot-class", default="rootfs", metavar="CLASS", help="default: %(default)s"
    )
    command.add_argument(
        "--output", type=Path, metavar="FILE", help="default: IMAGE with the ending .raucb"
    )
    command.add_argument("--overwrite", action="store_true", help="replace an existing output")
    command.add_argument(
        "--compression-level",
        type=int,
        choices=range(1, 23),
        default=6,
        metavar="1..22",
        help="of zstd, from quick to small; default: %(default)s",
    )
    command.add_argument(
        "--allow-expired", action="store_true", help="sign even if devices would refuse it by date"
    )
    _passphrase_file(command)
    _json(command)


def _inspect(command: argparse.ArgumentParser) -> None:
    command.set_defaults(command="inspect")
    command.add_argument("bundle", type=Path, metavar="BUNDLE")
    _json(command)


def _passphrase_file(command: argparse._ActionsContainer) -> None:
    command.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help="read the passphrase from its first line instead of the terminal",
    )


def _json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print one JSON object")


def _moment(text: str) -> datetime:
    """A date or a moment in ISO 8601; UTC where it does not say."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
