"""The command ``flipside-server serve``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from flipside_server.errors import OperatorError


def add_serve(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Let the command be given."""
    serving = commands.add_parser(
        "serve", parents=[shared], help="serve devices until SIGTERM; SIGHUP reads TLS files anew"
    )
    serving.add_argument("--listen", default="127.0.0.1:8080", metavar="HOST:PORT")
    _add_tls(serving)
    serving.add_argument(
        "--poll", metavar="HH:MM:SS", help="how often devices are to ask (default: 00:05:00)"
    )
    serving.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="settings; options stand above them (default: server.toml in the data directory)",
    )
    serving.add_argument(
        "--metrics-from",
        action="append",
        default=[],
        metavar="NETWORK",
        help="may see /metrics besides this machine, for example 10.0.0.0/8; may be repeated",
    )
    serving.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="of the log's lines"
    )
    serving.add_argument("--verbose", action="store_true", help="log more")
    serving.set_defaults(run=_serve)


def _add_tls(serving: argparse.ArgumentParser) -> None:
    serving.add_argument("--tls-cert", metavar="FILE", help="PEM certificate chain")
    serving.add_argument("--tls-key", metavar="FILE", help="PEM key of the certificate")
    serving.add_argument(
        "--tls-client-ca",
        metavar="FILE",
        help="PEM authorities of devices that may show a certificate instead of a token",
    )
    serving.add_argument(
        "--insecure", action="store_true", help="serve a network without TLS, knowing the risk"
    )


def _serve(options: argparse.Namespace) -> None:
    # Only here: the other commands need no web server, and start in half the time without.
    from flipside_server.ddi import checked_sleep
    from flipside_server.listener import address, refuse_open_air
    from flipside_server.logs import Lines, Shape, log_to
    from flipside_server.operations import networks
    from flipside_server.service import Service, serve
    from flipside_server.settings_file import settings_in

    # systemd.exec(5): set if standard error goes to the journal.
    lines = Lines(Shape(options.log_format), journal="JOURNAL_STREAM" in os.environ)
    log_to(sys.stderr, lines, logging.DEBUG if options.verbose else logging.INFO)
    where = address(options.listen)
    tls = _tls(options)
    refuse_open_air(where, tls=tls is not None, insecure=options.insecure)
    settings = settings_in(options.data, options.config)
    if options.poll:
        settings = replace(settings, sleep=checked_sleep(options.poll))
    serve(Service(options.data, where, settings, tls, networks(options.metrics_from)))


def _tls(options: argparse.Namespace) -> Any:
    from flipside_server.tls import TlsFiles, tls

    if bool(options.tls_cert) != bool(options.tls_key):
        raise OperatorError("--tls-cert and --tls-key go together: give both or neither")
    if not options.tls_cert:
        if options.tls_client_ca:
            raise OperatorError("--tls-client-ca needs TLS: give --tls-cert and --tls-key too")
        return None
    return tls(TlsFiles(options.tls_cert, options.tls_key, options.tls_client_ca or ""))
