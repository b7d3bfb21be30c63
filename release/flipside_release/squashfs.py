"""A squashfs made by `mksquashfs` from a tar stream.

Because of the stream an image is read only once: it is hashed on its way, needs neither copy nor
link, and what was hashed is what was packed.
The same contents give the same bytes with the same squashfs-tools, on any number of processors:
owner, modes and times are fixed (at 1970, so SOURCE_DATE_EPOCH has nothing left to say).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final

from flipside_release.errors import OperatorError, WorkstationError

_END_OF_ARCHIVE: Final = bytes(2 * tarfile.BLOCKSIZE)


class TarStream:
    """A tar archive on its way into mksquashfs."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        """Add one file, whose size must be known before its bytes."""
        entry = tarfile.TarInfo(name)
        entry.size = size
        self._stream.write(entry.tobuf(tarfile.GNU_FORMAT))
        left = size
        for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                break
            self._stream.write(chunk)
        if left != 0:
            raise OperatorError(
                f"{name} did not keep its size of {size} bytes while it was read: expected an "
                "image that nothing writes to."
            )
        self._stream.write(bytes(-size % tarfile.BLOCKSIZE))

    def finish(self) -> None:
        """Say that nothing follows."""
        self._stream.write(_END_OF_ARCHIVE)
        self._stream.close()


@contextlib.contextmanager
def squashfs(output: Path, level: int) -> Iterator[TarStream]:
    """Pack what is added inside the `with` block into a squashfs at `output`."""
    with tempfile.TemporaryFile() as complaints, _start(output, level, complaints) as process:
        assert process.stdin is not None
        try:
            stream = TarStream(process.stdin)
            yield stream
            stream.finish()
        except BrokenPipeError as error:
            _forget(process.stdin)
            raise _failure(process, complaints) from error
        except BaseException:
            process.kill()
            _forget(process.stdin)
            raise
        if process.wait() != 0:
            raise _failure(process, complaints)


def _start(output: Path, level: int, complaints: IO[bytes]) -> subprocess.Popen[bytes]:
    environment = dict(os.environ, LC_ALL="C")
    # mksquashfs refuses to be told the time twice.
    environment.pop("SOURCE_DATE_EPOCH", None)
    try:
        return subprocess.Popen(
            _arguments(output, level),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            env=environment,
        )
    except OSError as error:
        raise WorkstationError(
            "mksquashfs was not found on PATH: install the Debian package squashfs-tools."
        ) from error


def _arguments(output: Path, level: int) -> list[str]:
    return [
        *("mksquashfs", "-", str(output), "-tar", "-noappend", "-no-recovery", "-exit-on-error"),
        *("-quiet", "-no-progress", "-no-xattrs"),
        *("-comp", "zstd", "-Xcompression-level", str(level), "-b", "128K"),
        *("-force-uid", "0", "-force-gid", "0", "-root-mode", "0755"),
        *("-mkfs-time", "0", "-all-time", "0"),
    ]


def _forget(stream: IO[bytes]) -> None:
    """Close a pipe that nobody reads any more."""
    with contextlib.suppress(BrokenPipeError):
        stream.close()


def _failure(process: subprocess.Popen[bytes], complaints: IO[bytes]) -> WorkstationError:
    """What mksquashfs said before it gave up."""
    status = process.wait()
    complaints.seek(0)
    lines = [line.strip() for line in complaints.read().decode(errors="replace").splitlines()]
    said = "; ".join(filter(None, lines)) or "it did not say why"
    return WorkstationError(
        f"mksquashfs failed with status {status}: {said[:300]} (version 4.5 or newer is expected, "
        "and room for the packed image beside the bundle)."
    )
