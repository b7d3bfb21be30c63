"""Orders over a Unix socket: a server that holds the directory carries them out.

One POST for each order: a line of JSON, then the bytes of the file if there is one.
The socket lies in the data directory and belongs to the server's user alone.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import bottle
from bottle import Bottle, HTTPResponse

from flipside_server import errors
from flipside_server.control import Answer, Control
from flipside_server.errors import OperatorError, ServerError, StorageError
from flipside_server.orders import Order, from_document, to_document

_LONGEST_ORDER = 1 << 20
_BLOCK = 1 << 20


def control_application(control: Control) -> Bottle:
    """The WSGI application behind the socket."""
    app = Bottle()
    app.route("/", "POST", lambda: _obey(control, bottle.request.environ["wsgi.input"]))
    return app


def _obey(control: Control, body: BinaryIO) -> HTTPResponse:
    try:
        order = from_document(json.loads(body.readline(_LONGEST_ORDER)))
        return _reply(200, control.carry_out(order, body))
    except ServerError as error:
        # Cheroot would read what is left of a refused file into memory at once.
        while body.read(_BLOCK):
            pass
        return _reply(400, {"family": type(error).__name__, "error": str(error)})


def _reply(status: int, document: Answer) -> HTTPResponse:
    headers = {"Content-Type": "application/json"}
    return HTTPResponse(json.dumps(document).encode(), status, headers)


class RemoteControl:
    """Carries orders to the server that holds the directory."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def carry_out(self, order: Order, upload: BinaryIO | None = None) -> Answer:
        """Have the server do what is ordered."""
        line = json.dumps(to_document(order)).encode() + b"\n"
        size = len(line) + (os.fstat(upload.fileno()).st_size if upload else 0)
        try:
            status, answer = self._exchange(_body(line, upload), size)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise StorageError(
                f"the server behind {self._place} broke off ({error}): see its log"
            ) from error
        if status != 200:
            raise _raised(answer)
        return answer

    def _exchange(self, body: Iterator[bytes], size: int) -> tuple[int, Answer]:
        connection = http.client.HTTPConnection("localhost")
        with short_path(self._place) as path:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(path)
        try:
            connection.request("POST", "/", body, {"Content-Length": str(size)})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()


def _body(line: bytes, upload: BinaryIO | None) -> Iterator[bytes]:
    yield line
    while upload is not None and (block := upload.read(_BLOCK)):
        yield block


def _raised(answer: Answer) -> ServerError:
    families: dict[str, Callable[[str], ServerError]] = vars(errors)
    family: Any = families.get(str(answer.get("family")))
    known = isinstance(family, type) and issubclass(family, ServerError)
    return (family if known else OperatorError)(str(answer.get("error")))


@contextmanager
def short_path(place: Path) -> Iterator[str]:
    """A name for the socket that fits: its own may exceed the 107 bytes a Unix socket has."""
    folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{place.name}"
    finally:
        os.close(folder)
