"""What one range request of RAUC costs in the agent's origin, in CPU milliseconds.

Run: ``python bench/origin.py [MiB]``. A client process asks for a bundle in ranges of 128 KiB over
one kept connection, as RAUC's streaming helper does. Measured is the CPU time of this process:

* ``http.server``  the standard library's server, for comparison
* ``memory``       our origin over a bundle in memory: the origin alone
* ``spooled``      our origin over a spool that is complete
* ``fetched``      our origin over a server in another process: fetching and spooling included
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import resource
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from flipside_agent.address import address_of
from flipside_agent.origin import PATH, Origin
from flipside_agent.ranges import requested
from flipside_agent.source import RemoteSource
from flipside_agent.spool import SpoolFolder
from flipside_agent.tail import Pinned
from flipside_agent.transport import Identity, Transport

BLOCK = 128 << 10


def bundle(size: int) -> bytes:
    """Return a bundle with a tail that passes for a signature."""
    body = random.Random(1).randbytes(1 << 20) * (size >> 20)
    return body[: size - 1208] + b"." * 1200 + (1200).to_bytes(8, "big")


class InMemory:
    """A source that has everything."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)

    def read(self, offset: int, length: int, deadline: float) -> bytes:
        """Return these bytes."""
        return self.content[offset : offset + length]


class Plain(BaseHTTPRequestHandler):
    """What one would write with the standard library."""

    protocol_version = "HTTP/1.1"
    content = b""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer a range."""
        size = len(self.content)
        wanted = requested(self.headers["Range"], size)
        assert wanted is not None
        self.send_response(206)
        self.send_header("Content-Length", str(wanted.length))
        self.send_header("Content-Range", f"bytes {wanted.start}-{wanted.stop - 1}/{size}")
        self.send_header("ETag", '"x"')
        self.end_headers()
        self.wfile.write(memoryview(self.content)[wanted.start : wanted.stop])


def ask_for_all(port: int, bearer: str, size: int, digest: str) -> None:
    """Read the whole bundle as RAUC does, and check it."""
    connection = socket.create_connection(("127.0.0.1", port))
    seen = hashlib.sha256()
    answer = bytearray(BLOCK + 4096)
    for at in range(0, size, BLOCK):
        stop = min(at + BLOCK, size)
        head = f"GET {PATH} HTTP/1.1\r\nAuthorization: {bearer}\r\nRange: bytes={at}-{stop - 1}\r\n"
        connection.sendall(f"{head}Host: 127.0.0.1:{port}\r\nAccept: */*\r\n\r\n".encode())
        got = body = 0
        while not body or got < body + stop - at:
            got += connection.recv_into(memoryview(answer)[got:])
            body = (
                body or answer.find(b"\r\n\r\n", 0, got) + 4 if b"\r\n\r\n" in answer[:got] else 0
            )
        seen.update(memoryview(answer)[body:got])
    assert seen.hexdigest() == digest, "not what was served"


@contextmanager
def plain(content: bytes) -> Iterator[int]:
    """Serve with the standard library, in this process."""
    Plain.content = content
    server = ThreadingHTTPServer(("127.0.0.1", 0), Plain)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def serve_apart(content: bytes, port: multiprocessing.Queue[int]) -> None:
    """Be the update server."""
    with plain(content) as number:
        port.put(number)
        time.sleep(3600)


def measured(name: str, port: int, bearer: str, content: bytes) -> None:
    """Have a client read everything, and print what it cost this process."""
    arguments = (port, bearer, len(content), hashlib.sha256(content).hexdigest())
    client = multiprocessing.Process(target=ask_for_all, args=arguments)
    before, begun = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    client.start()
    client.join()
    after, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - begun
    assert client.exitcode == 0
    requests = -(-len(content) // BLOCK)
    user = (after.ru_utime - before.ru_utime) / requests * 1e3
    system = (after.ru_stime - before.ru_stime) / requests * 1e3
    print(
        f"{name:12} {user + system:7.3f} ms of CPU a request"
        f" (user {user:.3f}, system {system:.3f}), {wall:.2f} s for {requests}"
    )


def through_origin(name: str, source: InMemory | Pinned, content: bytes) -> None:
    """Measure our origin over a source."""
    origin = Origin(source, 280)
    origin.start()
    port = int(origin.location.rpartition(":")[2].partition("/")[0])
    measured(name, port, origin.headers["Authorization"], content)
    origin.stop()


def remote(name: str, port: int, folder: Path, content: bytes) -> None:
    """Measure our origin over a server."""
    address = address_of(f"http://127.0.0.1:{port}/bundle")
    assert address is not None
    transport = Transport(Identity(address.site))
    source = RemoteSource(address, len(content), transport, SpoolFolder(folder, 0), random.random)
    through_origin(name, Pinned(source, source.open()), content)
    source.close()


def main() -> None:
    """Measure everything, twice: the first round warms up."""
    content = bundle(int(sys.argv[1]) << 20 if len(sys.argv) > 1 else 225 << 20)
    port: multiprocessing.Queue[int] = multiprocessing.Queue()
    apart = multiprocessing.Process(target=serve_apart, args=(content, port), daemon=True)
    apart.start()
    far = port.get()
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIRECTORY")) as folder:
        for _ in range(2):
            with plain(content) as near:
                measured("http.server", near, "", content)
            through_origin("memory", InMemory(content), content)
            SpoolFolder(Path(folder), 0).drop()
            remote("fetched", far, Path(folder), content)
            remote("spooled", far, Path(folder), content)
    apart.terminate()


if __name__ == "__main__":
    main()
