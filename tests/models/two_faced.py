"""A server that shows one bundle to the inspection and another one to the installation.

It stands in front of a real server and passes everything on, until the signature tail of the
bundle was fetched once. From then on it answers every range from another file.
"""

from __future__ import annotations

import http.client
import re
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TAIL = 1 << 20
"""Bytes at the end in which a question is one for the signature, whatever blocks are fetched."""
_ARTIFACT = re.compile(r"/artifacts/[^/]+\.raucb$")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)$")
_HOP = ("connection", "transfer-encoding", "keep-alive")


class TwoFaced:
    """Listens on a port of its own; ``with`` makes it stop."""

    def __init__(self, upstream: int, bundle: Path, other: Path) -> None:
        self.upstream = upstream
        self.size = bundle.stat().st_size
        self.other = other
        self.turned = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> TwoFaced:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(model: TwoFaced) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if model.turned and _ARTIFACT.search(self.path):
                self._lie()
                return
            self._pass_on()
            found = _RANGE.match(self.headers.get("Range", ""))
            if _ARTIFACT.search(self.path) and found and int(found[1]) > model.size - TAIL:
                model.turned = True

        do_POST = do_PUT = do_HEAD = do_GET  # noqa: N815 -- the names that http.server calls

        def _lie(self) -> None:
            found = _RANGE.match(self.headers["Range"])
            assert found
            first = int(found[1])
            last = min(int(found[2] or model.size - 1), model.size - 1)
            with model.other.open("rb") as file:
                file.seek(first)
                content = file.read(last - first + 1).ljust(last - first + 1, b"\0")
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{model.size}")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            link = http.client.HTTPConnection("127.0.0.1", model.upstream)
            link.request(self.command, self.path, body, dict(self.headers))
            answer = link.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            self.end_headers()
            while block := answer.read(65536):
                self.wfile.write(block)
            link.close()

        def handle(self) -> None:
            # A client that has read enough hangs up in the middle of an answer.
            with suppress(ConnectionError):
                super().handle()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    return Handler
