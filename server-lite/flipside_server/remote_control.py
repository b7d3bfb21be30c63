"""Orders carried over the control socket to the server that holds the directory."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from flipside_server import errors
from flipside_server.audited_control import OPERATOR, user
from flipside_server.directory import short_path
from flipside_server.errors import OperatorError, ServerError, StorageError
from flipside_server.orders import Answer, Order, to_document

_BLOCK = 1 << 20


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
            headers = {"Content-Length": str(size), OPERATOR: user()}
            connection.request("POST", "/", body, headers)
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
