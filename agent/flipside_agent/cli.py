"""``flipside-agent``: the agent itself, and a look at its configuration and its history.

Each command imports what only it needs: a look at the history must not cost what the agent costs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from flipside_agent.errors import AgentError, OperatorError
from flipside_agent.places import USUAL, Places
from flipside_bootctl import __version__
from flipside_hal.errors import BoardError

EXIT_CODES: Final = """\
exit status:
  0  done
  2  the command line cannot be understood
  3  the configuration is at fault; the message names file, key and value
  4  the device is at fault: its board, its journal, its message bus
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; whatever may be expected to fail is told in one line."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
    except (AgentError, BoardError) as error:
        print(f"flipside-agent: {error}", file=sys.stderr)
        return 3 if isinstance(error, OperatorError) else 4
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flipside-agent",
        description="Keeps this device up to date, and on a good slot.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    files = argparse.ArgumentParser(add_help=False)
    _add_file(files, "--policy", USUAL.policy)
    _add_file(files, "--device", USUAL.device)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", parents=[files], help="be the agent, until told to stop")
    _add_file(run, "--journal", USUAL.journal)
    _add_file(run, "--history", USUAL.history)
    run.set_defaults(command=_run)
    check = commands.add_parser("check-config", parents=[files], help="read the configuration")
    check.set_defaults(command=_check_config)
    _add_history(commands.add_parser("history", help="show what became of each update"))
    return parser


def _add_history(history: argparse.ArgumentParser) -> None:
    history.add_argument("--json", action="store_true", help="an array, oldest first")
    history.add_argument("--last", type=_count, metavar="N", help="only the newest N")
    history.add_argument(
        "--verbose", action="store_true", help="with the last words of boots that failed"
    )
    _add_file(history, "--history", USUAL.history)
    history.set_defaults(command=_history)


def _add_file(parser: argparse.ArgumentParser, name: str, usual: Path) -> None:
    parser.add_argument(name, type=Path, default=usual, help="(default: %(default)s)")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of updates, expected 1 or more")
    return int(text)


def _run(options: argparse.Namespace) -> None:
    from flipside_agent.composition import run

    run(Places(options.policy, options.device, options.journal, options.history))


def _check_config(options: argparse.Namespace) -> None:
    from flipside_agent.config import load
    from flipside_hal import board

    config = load(options.policy, options.device)
    for warning in config.warnings:
        print(f"warning: {warning}")
    print(f"server      {config.server.address.site}{config.server.address.target}")
    print(f"controller  {config.device.controller_id or board.identity()}")


def _history(options: argparse.Namespace) -> None:
    from flipside_agent.chronicle import archive
    from flipside_agent.listing import as_json, as_table

    entries = archive(options.history).entries()
    if options.last:
        entries = entries[-options.last :]
    if options.json:
        print(as_json(entries))
    else:
        print(as_table(entries, verbose=options.verbose))
