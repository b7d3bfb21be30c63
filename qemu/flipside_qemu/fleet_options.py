"""The command line of `flipside-fleet`: its options, and what each may be."""

from __future__ import annotations

import argparse
import re
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from flipside_qemu.fleet_bundle import Manner
from flipside_qemu.fleet_load import KINDS

EXIT_CODES: Final = """\
exit status:
  0  every device ended as its world says it had to
  1  a device did not, or a request went wrong under --load; the output says which
  2  the operator is at fault: an argument, a file that is not there
  3  this machine is at fault: a command that fails, a file that cannot be written
"""
_UNITS: Final = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def parser() -> ArgumentParser:
    """The whole command line."""
    whole = ArgumentParser(
        prog="flipside-fleet",
        description="Model devices that run Flipside's own agent against any DDI server.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--server", required=True, metavar="URL", help="http(s)://HOST[:PORT]")
    _add_devices(whole.add_argument_group("who they are"))
    _add_world(whole.add_argument_group("what becomes of them"))
    _add_wire(whole.add_argument_group("how they speak"))
    _add_end(whole.add_argument_group("when it ends, and what is told"))
    _add_load(whole.add_argument_group("a load instead of a life"))
    return whole


def _add_devices(group: Any) -> None:
    group.add_argument("--devices", type=_count, metavar="N", help="(default: 100, or all tokens)")
    group.add_argument("--prefix", help="of their names (default: fleet-, or all tokens)")
    group.add_argument("--tenant", default="DEFAULT", help="(default: %(default)s)")
    proofs = group.add_mutually_exclusive_group()
    proofs.add_argument(
        "--gateway-token-file", type=Path, metavar="FILE", help="the gateway token, on line one"
    )
    proofs.add_argument(
        "--tokens", type=Path, metavar="FILE", help="lines of a device's name and its token"
    )
    proofs.add_argument(
        "--provision",
        metavar="COMMAND",
        help="prints a device's token, {} in it is its name: 'flipside-server target add {}'",
    )
    group.add_argument(
        "--save-tokens", type=Path, metavar="FILE", help="keep what --provision printed"
    )


def _add_world(group: Any) -> None:
    for name, what in (
        ("fail", "whose installation fails"),
        ("sick", "that come up and fail a health check"),
        ("fallback", "that never come up, so that the boot loader falls back"),
        ("cut", "in whose installation the power fails once"),
    ):
        text = f"share of updates {what}, 0 to 1"
        group.add_argument(f"--{name}", type=_share, default=0.0, metavar="SHARE", help=text)
    group.add_argument(
        "--boot", type=_seconds, default=20.0, metavar="SECONDS", help="(default: %(default)s)"
    )
    group.add_argument(
        "--check",
        type=_seconds,
        default=5.0,
        metavar="SECONDS",
        help="that health checks take (default: %(default)s)",
    )
    group.add_argument("--version", default="1", help="that runs at first (default: %(default)s)")
    group.add_argument(
        "--seed", type=int, default=1, help="the same devices fail again (default: %(default)s)"
    )


def _add_wire(group: Any) -> None:
    group.add_argument(
        "--link", type=_speed, default=0.0, metavar="SPEED", help="of each download, as 1MB/s"
    )
    group.add_argument(
        "--download",
        choices=[str(one) for one in Manner],
        default=str(Manner.AGENT),
        help="what is fetched of a bundle, and how (default: %(default)s)",
    )
    group.add_argument(
        "--poll-factor",
        type=_seconds,
        default=1.0,
        metavar="X",
        help="times the server's polling interval (default: %(default)s)",
    )
    group.add_argument("--keep", action="store_true", help="keep connections, as stock clients do")
    group.add_argument("--ca", type=Path, metavar="FILE", help="authority of the server, PEM")
    group.add_argument(
        "--at-once",
        type=_count,
        default=256,
        metavar="N",
        help="short requests under way at most (default: %(default)s)",
    )


def _add_end(group: Any) -> None:
    group.add_argument(
        "--ramp",
        type=_seconds,
        default=5.0,
        metavar="SECONDS",
        help="over which devices are switched on (default: %(default)s)",
    )
    group.add_argument(
        "--updates",
        type=_count,
        default=0,
        metavar="N",
        help="end when each device has ended so many",
    )
    group.add_argument(
        "--duration", type=_seconds, metavar="SECONDS", help="end then (default: at Ctrl-C)"
    )
    group.add_argument(
        "--ask", action="store_true", help="ask the server at the end what it holds of each update"
    )
    group.add_argument("--json", type=Path, metavar="FILE", help="the figures, for programs")
    group.add_argument("--plain", action="store_true", help="lines, also in a terminal")


def _add_load(group: Any) -> None:
    group.add_argument(
        "--load",
        choices=[str(kind) for kind in KINDS],
        help="send requests of this kind as fast as they are answered",
    )
    group.add_argument("--requests", type=_count, default=0, metavar="N", help="how many")
    group.add_argument(
        "--workers",
        type=_count,
        default=16,
        metavar="N",
        help="connections that are used at once (default: %(default)s)",
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number from 1 on")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number from 0 to 1")
    return share


def _seconds(text: str) -> float:
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?|\.[0-9]+", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number such as 30 or 0.5")
    return float(text)


def _speed(text: str) -> float:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(|[kMG]i?)B/s", text)
    if found is None or not float(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r}, expected a speed such as 250kB/s or 1MB/s")
    return float(found[1]) * _UNITS[found[2]]
