"""A QEMU process: started, measured, killed by its own id, and never left behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flipside_qemu.errors import EmulatorError, HostError

# The kernel tells a child of its parent's death when the parent's *thread* dies. One thread that
# lives as long as the program starts all processes, so that they do as well, and not longer.
_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter of processes")
_DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")

_TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """A program that runs in a session of its own, so that Ctrl-C at the terminal spares it.

    When it has ended it stays in the process table until :meth:`end`: its CPU time can still be
    read, and its id names no other process.
    """

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child

    @property
    def pid(self) -> int:
        """The id of the program itself: what starts it is replaced by it."""
        return self._child.pid

    def runs(self) -> bool:
        """Whether it has not ended."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None

    def wait(self, seconds: float) -> bool:
        """Wait for its end, and say whether it came in time."""
        handle = os.pidfd_open(self.pid)
        try:
            return bool(select.select([handle], [], [], seconds)[0])
        finally:
            os.close(handle)

    def cpu_seconds(self) -> float:
        """User and system time of all its threads until now."""
        # proc(5): the name, in parentheses, may contain anything; fields 14 and 15 are the times.
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def end(self) -> float:
        """Kill it as a power cut would if it still runs, and give the CPU seconds it has used."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        used = self.cpu_seconds()
        self._child.wait()
        return used


def start(command: Sequence[str], log: Path, inherited: Sequence[int] = ()) -> Process:
    """Start a program that dies with us; its words go to the log, and it gets these descriptors."""

    def popen() -> subprocess.Popen[bytes]:
        with log.open("wb") as words:
            return subprocess.Popen(
                [*_DIE_WITH_PARENT, *command],
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                pass_fds=inherited,
                start_new_session=True,
            )

    try:
        child = _STARTER.submit(popen).result()
    except OSError as error:
        raise HostError(
            f"{error.filename or command[0]} does not start: {error.strerror};"
            " setpriv is in Debian's util-linux"
        ) from error
    return Process(child)


def foreground(command: Sequence[str]) -> None:
    """Run a program at the terminal until it ends; raise if it ends badly."""
    try:
        done = subprocess.run(command, check=False)
    except OSError as error:
        raise HostError(f"{command[0]} does not start: {error.strerror}") from error
    if done.returncode != 0:
        raise EmulatorError(f"QEMU ended with code {done.returncode}, see its words above")
