"""Orders over a Unix socket: a server that holds the directory carries them out.

One POST for each order: a line of JSON, then the bytes of the file if there is one.
The socket lies in the data directory and belongs to the server's user alone.
"""

from __future__ import annotations

import json
from typing import BinaryIO

import bottle
from bottle import Bottle, HTTPResponse

from flipside_server.actor import acting
from flipside_server.audited_control import OPERATOR
from flipside_server.errors import ServerError
from flipside_server.orders import Answer, CarriesOut, from_document

_LONGEST_ORDER = 1 << 20
_BLOCK = 1 << 20


def control_application(control: CarriesOut) -> Bottle:
    """The WSGI application behind the socket."""
    app = Bottle()
    app.route("/", "POST", lambda: _obey(control, bottle.request.environ["wsgi.input"]))
    return app


def _obey(control: CarriesOut, body: BinaryIO) -> HTTPResponse:
    try:
        order = from_document(json.loads(body.readline(_LONGEST_ORDER)))
        with acting(_operator()):
            return _reply(200, control.carry_out(order, body))
    except ServerError as error:
        # Cheroot would read what is left of a refused file into memory at once.
        while body.read(_BLOCK):
            pass
        return _reply(400, {"family": type(error).__name__, "error": str(error)})


def _operator() -> str:
    # Said by the command itself; nobody but the owner and root can open the socket.
    said: str = bottle.request.environ.get("HTTP_" + OPERATOR.upper().replace("-", "_"), "")
    name = "".join(letter for letter in said[:64] if letter.isprintable())
    return f"operator {name or 'unknown'}"


def _reply(status: int, document: Answer) -> HTTPResponse:
    headers = {"Content-Type": "application/json"}
    return HTTPResponse(json.dumps(document).encode(), status, headers)
