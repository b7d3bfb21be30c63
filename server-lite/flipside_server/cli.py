"""The command ``flipside-server``."""

from __future__ import annotations

import argparse
import json
import os
import stat
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, cast

from flipside_server import audit_command, maintenance
from flipside_server.assignment import add_terms, assignment
from flipside_server.errors import (
    DirectoryHeldError,
    OperatorError,
    ServerError,
    StorageError,
)
from flipside_server.orders import (
    AddArtifact,
    AddTarget,
    Answer,
    Cancel,
    Order,
    Show,
    Subject,
)
from flipside_server.premises import reached
from flipside_server.progress import ProgressFile
from flipside_server.serve_command import add_serve
from flipside_server.table import tables

_EXITS = """exit codes:
  0  done
  2  the command line cannot be understood
  3  it cannot be done as asked (unknown or taken name, unusable file or option)
  4  the data directory is damaged, full or unreadable
  5  another process holds the data directory and does not answer
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except ServerError as error:
        print(f"flipside-server: {error}", file=sys.stderr)
        return _exit_code(error)
    except BrokenPipeError:
        # Whoever read our output has seen enough; let the interpreter's own flush go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _exit_code(error: ServerError) -> int:
    match error:
        case DirectoryHeldError():
            return 5
        case StorageError():
            return 4
        case _:
            return 3


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flipside-server",
        description="A small update server that speaks hawkBit's device protocol.",
        epilog=_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--data",
        type=Path,
        default=Path("/var/lib/flipside-server"),
        metavar="DIR",
        help="the data directory (default: %(default)s)",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_serve(commands, shared)
    _add_target(commands, shared)
    _add_artifact(commands, shared)
    _add_actions(commands, shared)
    _add_show(commands, shared)
    maintenance.add_commands(commands, shared)
    audit_command.add_command(commands, shared)
    return parser


def _add_target(commands: Any, shared: argparse.ArgumentParser) -> None:
    target = commands.add_parser("target", help="devices")
    verbs = target.add_subparsers(required=True, metavar="VERB")
    add = verbs.add_parser("add", parents=[shared], help="let a device in; prints its token")
    add.add_argument("target", metavar="TARGET", help="the device's controller id")
    add.add_argument(
        "--token-file",
        metavar="FILE",
        help="take the token from the file's first line instead of making one; - is stdin",
    )
    add.set_defaults(run=_target_add)


def _add_artifact(commands: Any, shared: argparse.ArgumentParser) -> None:
    artifact = commands.add_parser("artifact", help="files to install")
    verbs = artifact.add_subparsers(required=True, metavar="VERB")
    add = verbs.add_parser("add", parents=[shared], help="keep a file as NAME:VERSION")
    add.add_argument("file", type=Path, metavar="FILE")
    add.add_argument("--name", required=True)
    add.add_argument("--version", required=True)
    add.add_argument("--filename", help="what devices see (default: the file's own name)")
    add.add_argument(
        "--metadata",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="told to the device, for example flipside.manifest-hash=HEX; may be repeated",
    )
    add.set_defaults(run=_artifact_add)


def _add_actions(commands: Any, shared: argparse.ArgumentParser) -> None:
    assign = commands.add_parser(
        "assign", parents=[shared], help="have a target install; prints the action's id"
    )
    assign.add_argument("target", metavar="TARGET")
    assign.add_argument("set", metavar="NAME:VERSION", help="or the id of the set")
    add_terms(assign)
    assign.set_defaults(run=_assign)
    cancel = commands.add_parser("cancel", parents=[shared], help="ask the device to drop it")
    cancel.add_argument("action", type=int, metavar="ACTION")
    cancel.add_argument(
        "--force", action="store_true", help="do not wait for the device's answer any longer"
    )
    cancel.set_defaults(run=_cancel)


def _add_show(commands: Any, shared: argparse.ArgumentParser) -> None:
    show = commands.add_parser("show", parents=[shared], help="tell what there is")
    show.add_argument(
        "subject",
        nargs="?",
        choices=[str(one) for one in Subject],
        metavar="SUBJECT",
        help="targets, actions or artifacts (default: all)",
    )
    show.add_argument("--json", action="store_true", help="everything, for programs")
    show.set_defaults(run=_show)


def _target_add(options: argparse.Namespace) -> None:
    token = _token(options.token_file) if options.token_file else ""
    answer = _carried_out(options, AddTarget(options.target, token), create=True)
    if not token:
        print(answer["token"])


def _token(source: str) -> str:
    if source == "-":
        return sys.stdin.readline().strip()
    try:
        with Path(source).open(encoding="utf-8") as file:
            return file.readline().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"cannot read the token in {source}: {error}") from error


def _artifact_add(options: argparse.Namespace) -> None:
    metadata = dict(_pair(text) for text in options.metadata)
    with ExitStack() as stack:
        try:
            file = stack.enter_context(options.file.open("rb"))
        except OSError as error:
            raise OperatorError(f"cannot read {options.file}: {error.strerror}") from error
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OperatorError(f"{options.file} is not a regular file: give one that has a size")
        name = options.filename or options.file.name
        order = AddArtifact(name, options.name, options.version, found.st_size, metadata)
        answer = _carried_out(options, order, create=True, upload=_watched(file))
    print(f"{answer['label']} is set {answer['distribution_set']}, sha256 {answer['sha256']}")


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise OperatorError(f"the metadata {text!r} is no KEY=VALUE")
    return key, value


def _watched(file: BinaryIO) -> BinaryIO:
    if not sys.stderr.isatty():
        return file
    # Only read and fileno are ever asked of it.
    return cast("BinaryIO", ProgressFile(file, _Meter().tell))


class _Meter:
    """A line on the terminal, redrawn ten times a second at most."""

    def __init__(self) -> None:
        self._next = 0.0

    def tell(self, done: int, size: int) -> None:
        """So many bytes of so many have been read."""
        now = time.monotonic()
        if now < self._next and done < size:
            return
        self._next = now + 0.1
        end = "\n" if done >= size else ""
        share = 100 * done // size if size else 100
        print(f"\r{share:3d} %  {done >> 20} of {size >> 20} MiB", end=end, file=sys.stderr)


def _assign(options: argparse.Namespace) -> None:
    answer = _carried_out(options, assignment(options))
    if answer["already"]:
        print("flipside-server: that is under way already", file=sys.stderr)
    print(answer["action"])


def _cancel(options: argparse.Namespace) -> None:
    _carried_out(options, Cancel(options.action, options.force))


def _show(options: argparse.Namespace) -> None:
    subjects = (Subject(options.subject),) if options.subject else tuple(Subject)
    answer = _carried_out(options, Show(subjects))
    print(json.dumps(answer, indent=2) if options.json else tables(answer))


def _carried_out(
    options: argparse.Namespace,
    order: Order,
    *,
    create: bool = False,
    upload: BinaryIO | None = None,
) -> Answer:
    with reached(options.data, create=create) as control:
        return control.carry_out(order, upload)
