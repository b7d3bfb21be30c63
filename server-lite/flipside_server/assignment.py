"""The options of ``flipside-server assign``, and the order that they make."""

from __future__ import annotations

import argparse
from datetime import datetime

from flipside_server.duration import seconds
from flipside_server.errors import OperatorError
from flipside_server.orders import Assign
from flipside_server.terms import AS_CONFIGURED, Terms, Urgency
from flipside_server.window import ALWAYS, Window, checked_window


def add_terms(assign: argparse.ArgumentParser) -> None:
    """Let the command say on what terms."""
    urgency = assign.add_mutually_exclusive_group()
    urgency.add_argument(
        "--soft", action="store_true", help="the device may choose when (default: it must, now)"
    )
    urgency.add_argument(
        "--forced-at", metavar="TIME", help="soft until then, such as 2027-01-31T03:00+01:00"
    )
    urgency.add_argument(
        "--download-only", action="store_true", help="the device fetches it and does not install"
    )
    assign.add_argument(
        "--window",
        metavar="'SCHEDULE HH:MM:SS ZONE'",
        help="install only then: 03:00 for every day or a Quartz cron expression, for how long, "
        "and the offset from UTC, as in '03:00 01:30:00 +01:00'",
    )
    assign.add_argument(
        "--confirm", action="store_true", help="somebody at the device has to confirm it first"
    )
    assign.add_argument(
        "--hold",
        metavar="HH:MM:SS",
        help="believe a success only once the device shows the new version, within that time; "
        "'no' to believe it at once (default: as the server's settings say)",
    )


def assignment(options: argparse.Namespace) -> Assign:
    """The order that the options make."""
    terms = Terms(
        _urgency(options),
        _moment(options.forced_at) if options.forced_at else 0,
        _window(options.window) if options.window else ALWAYS,
        _hold(options.hold),
    )
    return Assign(options.target, options.set, terms, options.confirm)


def _urgency(options: argparse.Namespace) -> Urgency:
    if options.soft:
        return Urgency.SOFT
    if options.forced_at:
        return Urgency.TIMEFORCED
    return Urgency.DOWNLOAD_ONLY if options.download_only else Urgency.FORCED


def _moment(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise OperatorError(
            f"{text!r} is no time: give one such as 2027-01-31T03:00+01:00"
        ) from error


def _window(text: str) -> Window:
    # The schedule may have spaces of its own.
    parts = text.rsplit(maxsplit=2)
    if len(parts) < 3:
        raise OperatorError(
            f"the window {text!r} cannot be used: give its schedule, duration and time zone, "
            "as in '03:00 01:30:00 +01:00'"
        )
    return checked_window(*parts)


def _hold(text: str | None) -> int:
    if text is None:
        return AS_CONFIGURED
    return 0 if text == "no" else seconds(text)
