"""The body of an answer that is sent piece by piece, as fast as the client takes it.

Files and generators are read in threads; no thread waits for a client. Without TLS the kernel
copies files itself. With it, pieces begin small and grow while the client keeps up: a thousand slow
readers hold little of the memory that one fast reader is worth.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

from flipside_server.byte_range import Span
from flipside_server.errors import ServerError

_SMALLEST = 16 << 10
_LARGEST = 512 << 10
_SENT_AT_ONCE = 8 << 20
"""Bytes that one call may have the kernel copy: a thread is not kept for longer."""
_log = logging.getLogger(__name__)


@runtime_checkable
class Filed(Protocol):
    """A body that lies in a file."""

    @property
    def span(self) -> Span: ...

    def fileno(self) -> int: ...


class Outflow:
    """One body on its way to one client."""

    def __init__(
        self,
        blocks: Any,
        transport: asyncio.Transport,
        submit: Callable[[Callable[[], None]], None],
        ended: Callable[[bool], None],
        *,
        chunked: bool,
    ) -> None:
        self._blocks = blocks
        self._transport = transport
        self._submit = submit
        self._loop = asyncio.get_running_loop()
        self._ended = ended
        self._chunked = chunked
        self._room = _SMALLEST
        self._iterator: Iterator[bytes] = iter(())
        self._held_back = False
        self._waits = False
        """The next piece is asked for when the client has taken the last."""
        self._over = False
        self._socket: socket.socket | None = None
        self._file: Span = Span(0, 0)
        self.sent = 0
        """Bytes handed to the kernel or to the transport."""

    def begin(self) -> None:
        """Send the first piece."""
        plain = self._transport.get_extra_info("ssl_object") is None
        if not isinstance(self._blocks, Filed):
            self._iterator = iter(self._blocks)
        elif plain and not self._chunked and not self._transport.get_write_buffer_size():
            self._file = self._blocks.span
            raw = self._transport.get_extra_info("socket")
            # A name of its own for the socket: the transport's is watched by the transport.
            self._socket = socket.socket(fileno=os.dup(raw.fileno()))
            self._transport.pause_reading()
        else:
            self._iterator = self._pieces(self._blocks.fileno(), self._blocks.span)
        self._proceed()

    def hold(self) -> None:
        """The client does not keep up."""
        self._held_back = True
        self._room = _SMALLEST

    def release(self) -> None:
        """The client has taken what was sent."""
        self._held_back = False
        if self._waits:
            self._waits = False
            self._proceed()

    def abandon(self) -> None:
        """The connection is gone."""
        if self._waits or (self._socket is not None and self._loop.remove_writer(self._socket)):
            self._end(whole=False)

    def _proceed(self) -> None:
        self._submit(self._copy if self._socket is not None else self._fetch)

    def _fetch(self) -> None:
        """In a thread: take the next piece."""
        block: bytes | None = None
        try:
            block = next(self._iterator, b"")
        except (OSError, ServerError) as error:
            _log.error("a download broke off: %s", error)
        finally:
            self._loop.call_soon_threadsafe(self._fetched, block)

    def _fetched(self, block: bytes | None) -> None:
        if block is None or self._transport.is_closing():
            self._end(whole=False)
            return
        if self._chunked:
            self._transport.write(b"%x\r\n%b\r\n" % (len(block), block))
        elif block:
            self._transport.write(block)
        self.sent += len(block)
        if not block:
            self._end(whole=True)
        elif self._held_back:
            self._waits = True
        else:
            self._room = min(2 * self._room, _LARGEST)
            self._proceed()

    def _pieces(self, file: int, span: Span) -> Iterator[bytes]:
        at = span.start
        while at < span.stop:
            block = os.pread(file, min(self._room, span.stop - at), at)
            if not block:
                raise OSError(f"the file ends at byte {at}, before its size")
            at += len(block)
            yield block

    def _copy(self) -> None:
        """In a thread: have the kernel copy what the socket takes, however slow the disk is."""
        assert self._socket is not None
        count: int | None = None
        try:
            size = min(self._file.length, _SENT_AT_ONCE)
            count = os.sendfile(
                self._socket.fileno(), self._blocks.fileno(), self._file.start, size
            )
            if not count:
                _log.error("a download broke off: the file ends before its size")
                count = None
        except BlockingIOError:
            count = 0
        except OSError:
            pass  # the client is gone, which is no fault of ours
        finally:
            self._loop.call_soon_threadsafe(self._copied, count)

    def _copied(self, count: int | None) -> None:
        assert self._socket is not None
        if count is None or self._transport.is_closing():
            self._end(whole=False)
            return
        self.sent += count
        self._file = Span(self._file.start + count, self._file.stop)
        if not self._file.length:
            self._end(whole=True)
        else:
            self._loop.add_writer(self._socket, self._writable)

    def _writable(self) -> None:
        assert self._socket is not None
        self._loop.remove_writer(self._socket)
        self._proceed()

    def _end(self, *, whole: bool) -> None:
        if self._over:
            return
        self._over = True
        if self._socket is not None:
            self._socket.close()
            if not self._transport.is_closing():
                self._transport.resume_reading()
        if hasattr(self._blocks, "close"):
            self._blocks.close()
        self._ended(whole)
