"""Orders over a Unix socket: a server that holds the directory carries them out.

One POST for each order: a line of JSON, then the bytes of the file if there is one.
The socket lies in the data directory and belongs to the server's user alone.
"""

from __future__ import annotations

import json
from typing import BinaryIO

import bottle
from bottle import Bottle, HTTPResponse

from flipside_server.control import Control
from flipside_server.errors import ServerError
from flipside_server.orders import Answer, from_document

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
