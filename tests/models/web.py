"""A web server with a power switch: serves files in ranges and whatever else it is told to say.

It may also stand in front of a real server, for whose moods it then is responsible.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Mood(Enum):
    """How the server answers everything."""

    WELL = auto()
    BROKEN = auto()
    """500, with ``Retry-After``."""
    GARBAGE = auto()
    """Bytes that are no HTTP."""
    HALF = auto()
    """Half of the promised body, then the connection ends."""
    ENDLESS = auto()
    """A body that never ends."""
    ELSEWHERE = auto()
    """A redirect to another host."""
    SILENT = auto()
    """Takes the request and says nothing."""
    WHOLE = auto()
    """Files only whole: no ranges."""


@dataclass(frozen=True)
class Seen:
    """A request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, object]:
        """The body, as JSON."""
        document: dict[str, object] = json.loads(self.body)
        return document


@dataclass(frozen=True)
class Said:
    """An answer that was laid ready."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Web:
    """Serves on 127.0.0.1, always on the same port, whenever it is on."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.files: dict[str, bytes] = {}
        self.etags: dict[str, str] = {}
        """Instead of a digest of the file."""
        self.answers: dict[tuple[str, str], Said] = {}
        self.behind: int | None = None
        """Port on 127.0.0.1 of a server that answers what this one has no answer to."""
        self.elsewhere = "http://127.0.0.2:1/elsewhere"
        """Where a redirect leads to."""
        self.mood = Mood.WELL
        self.seen: list[Seen] = []
        self.answered: list[tuple[Seen, int]] = []
        """Requests whose answer has gone out, with its status; 0 for what was no answer."""
        self.sent = 0
        """Bytes of file bodies that went out."""
        self.at_most: int | None = None
        """Bytes of a file body after which each connection breaks."""
        self.pace = 0.0
        """Seconds that each piece of a long body takes: a slow link."""
        self.off_after: int | None = None
        """Bytes of file bodies after which the power goes."""
        self.before_answer: Callable[[Seen], None] = lambda seen: None
        self.mood_for: Callable[[Seen], Mood | None] = lambda seen: None
        """The mood of one answer alone, if it is not the server's."""
        self._tls = tls
        self._server: _Server | None = None
        self._port = 0
        self.news = threading.Condition()
        """Told of every request, and of every connection that ends."""

    @property
    def port(self) -> int:
        """Where it listens, from the time it was first switched on."""
        return self._port

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return f"{self.scheme}://127.0.0.1:{self._port}"

    @property
    def scheme(self) -> str:
        """``http``, or ``https`` where it was given a certificate."""
        return "https" if self._tls else "http"

    def switch_on(self) -> None:
        """Begin to serve."""
        self._server = _Server(("127.0.0.1", self._port), _Handler, bind_and_activate=False)
        self._server.web = self
        self._server.server_bind()
        self._server.server_activate()
        self._port = self._server.server_address[1]
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def switch_off(self) -> None:
        """Vanish: whoever is connected sees the connection end."""
        server = self._server
        if server is None:
            return
        server.shutdown()
        server.server_close()
        server.cut_all()
        with self.news:
            self._server = None
            self.news.notify_all()

    def turn(self, mood: Mood) -> None:
        """Change the mood in the middle of everything: whoever is connected sees it end."""
        self.mood = mood
        if self._server is not None:
            self._server.cut_all()

    def is_off(self) -> bool:
        """Tell whether the power is off."""
        return self._server is None

    def is_idle(self) -> bool:
        """Tell whether nobody is connected."""
        return self._server is None or not self._server.open

    def say(self, method: str, path: str, document: object = None, **said: object) -> None:
        """Lay an answer ready for a method and path (without its query)."""
        body = b"" if document is None else json.dumps(document).encode()
        self.answers[method, path] = Said(**{"body": body, **said})  # type: ignore[arg-type]  # checked by the dataclass itself

    def asked(self, path: str, method: str = "GET") -> list[Seen]:
        """Return the requests for a path (without its query) so far."""
        return [s for s in self.seen if (s.method, s.path.partition("?")[0]) == (method, path)]

    def wait(self, until: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait for something that follows from a request, or fail."""
        with self.news:
            assert self.news.wait_for(until, seconds), "nothing of the kind was asked in time"

    def note(self, seen: Seen) -> None:
        """Remember a request."""
        with self.news:
            self.seen.append(seen)
            self.news.notify_all()

    def note_answer(self, seen: Seen, status: int) -> None:
        """Remember that a request was answered."""
        with self.news:
            self.answered.append((seen, status))
            self.news.notify_all()

    def count(self, sent: int) -> bool:
        """Count bytes sent and tell whether the power stays on."""
        time.sleep(self.pace)
        with self.news:
            self.sent += sent
            self.news.notify_all()
        if self.off_after is None or self.sent < self.off_after:
            return True
        self.off_after = None
        threading.Thread(target=self.switch_off, daemon=True).start()
        # Nobody is answered while it goes down, or it would still do everything it was asked.
        self.wait(self.is_off)
        return False


_HOP = ("connection", "transfer-encoding", "keep-alive")
"""Headers that speak of one connection and not of what goes over it (RFC 9110, 7.6.1)."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    web: Web

    def __init__(self, *arguments: object, **more: object) -> None:
        self.open: set[socket.socket] = set()
        super().__init__(*arguments, **more)  # type: ignore[arg-type]  # handed through

    def process_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: object) -> None:
        assert isinstance(request, socket.socket)
        super().shutdown_request(request)
        with self.web.news:
            self.open.discard(request)
            self.web.news.notify_all()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients of these tests leave and are cut off on purpose."""

    def cut_all(self) -> None:
        for connection in list(self.open):
            try:
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
            except OSError:
                continue


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Remember with what status the request is being answered."""
        self._status = int(code)

    def handle_one_request(self) -> None:
        self._status = 0
        super().handle_one_request()

    def _any(self) -> None:
        web = self.server.web
        length = int(self.headers.get("Content-Length", "0"))
        seen = Seen(
            self.command,
            self.path,
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(length),
        )
        web.note(seen)
        web.before_answer(seen)
        self._mood = web.mood_for(seen) or web.mood
        match self._mood:
            case Mood.BROKEN:
                self._say(Said(500, b"oh", {"Retry-After": "7"}))
            case Mood.GARBAGE:
                self._raw(b"\x00\x01 this is no answer\r\n\r\n")
            case Mood.ENDLESS:
                self._endless()
            case Mood.ELSEWHERE:
                self._say(Said(302, b"", {"Location": web.elsewhere}))
            case Mood.SILENT:
                self.connection.recv(1)
                self.close_connection = True
            case Mood.WELL | Mood.HALF | Mood.WHOLE:
                self._answer(seen)
        web.note_answer(seen, self._status)

    do_GET = do_HEAD = do_POST = do_PUT = _any  # noqa: N815  # the names http.server looks for

    def _answer(self, seen: Seen) -> None:
        web = self.server.web
        path = seen.path.partition("?")[0]
        said = web.answers.get((seen.method, path))
        if said is not None:
            self._say(said)
        elif path in web.files:
            self._file(web.files[path], web.etags.get(path), seen)
        elif web.behind is not None:
            self._pass_on(seen, web.behind)
        else:
            self._say(Said(404, b"{}"))

    def _say(self, said: Said) -> None:
        self.send_response(said.status)
        for name, value in said.headers.items():
            self.send_header(name, value)
        if not {name.lower() for name in said.headers} & {"content-length", "transfer-encoding"}:
            self.send_header("Content-Length", str(len(said.body)))
        self.end_headers()
        half = self._mood is Mood.HALF
        self.wfile.write(said.body[: len(said.body) // 2] if half else said.body)
        if half:
            self.close_connection = True

    def _raw(self, raw: bytes) -> None:
        self.wfile.write(raw)
        self.close_connection = True

    def _endless(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            time.sleep(self.server.web.pace)
            self.wfile.write(b"10000\r\n" + b"[" * 65536 + b"\r\n")

    def _pass_on(self, seen: Seen, port: int) -> None:
        link = http.client.HTTPConnection("127.0.0.1", port)
        link.request(seen.method, seen.path, seen.body, seen.headers)
        answer = link.getresponse()
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
        if answer.headers.get_content_type().endswith("json"):
            # It knows nothing of our TLS, but its links shall lead back here.
            scheme = f'"{self.server.web.scheme}://'
            body = answer.read().replace(b'"http://', scheme.encode())
            headers["Content-Length"] = str(len(body))
            self._say(Said(answer.status, body, headers))
        else:
            self._stream(answer, headers)
        link.close()

    def _stream(self, answer: http.client.HTTPResponse, headers: dict[str, str]) -> None:
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        whole = answer.length or 0
        left = whole // 2 if self._mood is Mood.HALF else whole
        while piece := answer.read(min(left, 65536)):
            self.wfile.write(piece)
            left -= len(piece)
            if not self.server.web.count(len(piece)):
                break
        if left or self._mood is Mood.HALF:
            self.close_connection = True

    def _file(self, content: bytes, etag: str | None, seen: Seen) -> None:
        tag = etag if etag is not None else f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", seen.headers.get("range", ""))
        current = seen.headers.get("if-range", tag) == tag
        if self._mood is Mood.WHOLE or match is None or not current:
            start, stop = 0, len(content)
            self.send_response(200)
        else:
            start, stop = int(match[1]), min(int(match[2] or len(content)) + 1, len(content))
            if start >= len(content):
                self._say(Said(416, b"", {"Content-Range": f"bytes */{len(content)}"}))
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        if tag:
            self.send_header("ETag", tag)
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        if self.command != "HEAD":
            self._body(content, start, stop)

    def _body(self, content: bytes, start: int, stop: int) -> None:
        web = self.server.web
        end = start + (stop - start) // 2 if self._mood is Mood.HALF else stop
        end = end if web.at_most is None else min(end, start + web.at_most)
        for at in range(start, end, 65536):
            piece = content[at : min(at + 65536, end)]
            self.wfile.write(piece)
            if not web.count(len(piece)):
                self.close_connection = True
                return
        if end < stop:
            self.close_connection = True
